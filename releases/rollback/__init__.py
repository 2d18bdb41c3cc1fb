"""Floor 12: the rollback plan carried out: traffic first, then redeploy, then verify."""
