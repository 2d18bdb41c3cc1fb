"""Identifiers that sort by time and cannot be guessed."""

import os
import time
from uuid import UUID

_VERSION = 0x7
_VARIANT = 0b10


def uuid7() -> UUID:
    """Return a version 7 UUID: 48 bits of Unix milliseconds, 74 random bits (RFC 9562, section 5.7)."""
    milliseconds = time.time_ns() // 1_000_000
    chance = int.from_bytes(os.urandom(10), "big")
    high, low = chance >> 68, chance & ((1 << 62) - 1)
    return UUID(int=(milliseconds << 80) | (_VERSION << 76) | (high << 64) | (_VARIANT << 62) | low)
