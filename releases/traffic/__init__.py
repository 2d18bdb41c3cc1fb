"""Floor 10: traffic splits of a mesh or gateway: read, previewed, written under guard, read back."""
