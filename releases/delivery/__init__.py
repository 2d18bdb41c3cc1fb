"""Floor 10: deployments at Jenkins (and, later, Spinnaker): requested, found again, watched, stopped."""
