"""A webhook of one's own: JSON, signed as Standard Webhooks 1.0.0 says."""
