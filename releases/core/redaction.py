"""Keep live secrets out of logs: every secret that was decrypted is known here and blotted out of messages."""

import threading
from typing import Any
from urllib.parse import quote

_SHORTEST = 6
_known: set[str] = set()
_lock = threading.Lock()


def remember(secret: str) -> None:
    """Blot this value, and its percent-encoded form, out of every log line from now on."""
    if len(secret) >= _SHORTEST:
        with _lock:
            _known.update({secret, quote(secret, safe="")})


def redact(text: str) -> str:
    """Return the text with every known secret replaced by ``[secret]``."""
    for secret in tuple(_known):
        text = text.replace(secret, "[secret]")
    return text


def processor(_logger: Any, _name: str, event: dict[str, Any]) -> dict[str, Any]:
    """Redact the strings of a structlog event."""
    return {key: redact(value) if isinstance(value, str) else value for key, value in event.items()}
