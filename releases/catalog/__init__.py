"""Floor 5: what exists and what is known of it: services, environments, artifacts, connections, routes."""
