"""Frames to keypoints and confidence, and the people who carry them over time."""
