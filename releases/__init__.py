"""GMUD: release governance for fintechs, one Django app in rooms on floors (see README.md)."""
