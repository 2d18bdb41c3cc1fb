"""Floor 7: the change request: its revisions, rollback plan, proofs and its life."""
