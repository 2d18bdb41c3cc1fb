"""Microsoft Teams: incoming webhooks and workflows; path and query of the address are the secret."""
