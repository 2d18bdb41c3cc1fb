"""Canonical JSON (RFC 8785) and content digests."""

import hashlib
from datetime import datetime
from typing import Any

import rfc8785


def encode(document: Any) -> bytes:
    """Return the canonical bytes of a JSON document.

    :raises ValueError: for what canonical JSON cannot carry (integers past 2**53 - 1, NaN, lone surrogates)
    """
    return rfc8785.dumps(document)


def digest(document: Any) -> str:
    """Return ``sha256:`` and the hexadecimal SHA-256 of the canonical bytes."""
    return "sha256:" + hashlib.sha256(encode(document)).hexdigest()


def microseconds(moment: datetime) -> int:
    """Return whole microseconds since 1970-01-01 UTC, exact for any aware datetime."""
    whole = int(moment.replace(microsecond=0).timestamp())
    return whole * 1_000_000 + moment.microsecond
