"""Linkerd: the weights of one rule of an HTTPRoute whose parent is a Service."""
