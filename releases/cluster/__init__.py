"""Floor 9: the one Kubernetes client: discovery, objects, rights."""
