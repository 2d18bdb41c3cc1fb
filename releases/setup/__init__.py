"""Floor 14: an installation becomes somebody's own: its configuration as one file, checks of its connections."""
