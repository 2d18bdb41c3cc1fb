"""Spinnaker: Gate's words in client.py, ours in adapter.py; what is read and asked in between is plain data."""
