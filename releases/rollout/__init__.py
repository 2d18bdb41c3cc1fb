"""Floor 11: the release going forward, step by step: deploy, weight, verdict, watch."""
