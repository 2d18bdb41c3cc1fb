"""Floor 1: errors, clock, transition tables, the HTTP door, breaker, ids and canonical JSON; knows no table."""
