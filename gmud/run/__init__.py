"""``make run``: every process of the house as one foreground group that leaves nothing behind."""
