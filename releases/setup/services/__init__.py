"""Writes: the configuration of an installation, from one file."""

from releases.setup.services.applying import apply

__all__ = ["apply"]
