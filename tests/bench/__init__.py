"""Figures as ratios within one run; nothing passes or fails by time."""
