"""Istio: the weights of one HTTP route of a VirtualService."""
