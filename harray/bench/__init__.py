"""Measurements that print rates and ratios."""
