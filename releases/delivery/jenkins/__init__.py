"""Jenkins: its words in client.py, ours in adapter.py."""
