"""Floor 4: one Person with many accounts; teams, roles, rights and machine identities."""
