"""Floor 10: verdicts on how a version is doing, from HTTP probes and Prometheus queries."""
