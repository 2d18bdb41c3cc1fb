"""Keep live secrets out of logs: every secret that was decrypted is known here and blotted out of messages."""

import base64
import json
import threading
from typing import Any
from urllib.parse import quote

_SHORTEST = 6
_known: set[str] = set()
_lock = threading.Lock()


def remember(secret: str) -> None:
    """Blot this value out of every log line from now on, also as it looks percent-encoded, quoted or in base64."""
    if len(secret) >= _SHORTEST:
        quoted = {quote(secret, safe=""), json.dumps(secret)[1:-1], repr(secret)[1:-1]}
        with _lock:
            _known.update({secret, base64.b64encode(secret.encode()).decode(), *quoted})


def redact(text: str) -> str:
    """Return the text with every known secret replaced by ``[secret]``."""
    for secret in sorted(_known, key=len, reverse=True):  # a longer one may contain a shorter one
        text = text.replace(secret, "[secret]")
    return text


def processor(_logger: Any, _name: str, event: dict[str, Any]) -> dict[str, Any]:
    """Redact a structlog event; a value that would show a secret when printed becomes its redacted text."""
    return {key: _redacted(value) for key, value in event.items()}


def _redacted(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    text = repr(value)
    clean = redact(text)
    return value if clean == text else clean
