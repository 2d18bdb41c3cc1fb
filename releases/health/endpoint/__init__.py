"""A health address of the service itself."""
