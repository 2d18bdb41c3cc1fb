"""Prometheus: instant queries only."""
