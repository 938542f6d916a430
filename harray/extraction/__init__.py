"""Video to features, one clip at a time; runs anywhere."""
