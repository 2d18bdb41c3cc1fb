"""Slack: incoming webhooks; the path of the address is the secret."""
