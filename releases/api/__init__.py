"""Floor 15: the REST door under /api/v1; errors as problem+json."""
