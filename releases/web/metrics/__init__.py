"""Figures for Prometheus at ``/metrics``: what this process counted, what the database says, and who may look."""
