"""Frames to ResNet-50 tokens: what is around the people, and where in the frame."""
