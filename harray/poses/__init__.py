"""Frames to keypoints with confidence, and people tracked over time."""
