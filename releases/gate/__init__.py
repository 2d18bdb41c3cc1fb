"""Floor 8: the verdict: one pure decision, its reasons, permits and their redemption."""
