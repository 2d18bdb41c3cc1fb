"""Keep a sentence as JSON, to be said later in its reader's language: parts may be moments, sentences, or several."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from releases.core.errors import Sentence

LONGEST_PART = 300


def keep(sentence: Sentence) -> dict[str, Any]:
    """Return a sentence as JSON; text from people is cut to one line of ``LONGEST_PART`` letters."""
    return {"text": sentence.text, "parts": {name: _kept(part) for name, part in sentence.parts.items()}}


def read(kept: Mapping[str, Any]) -> Sentence:
    """Return the sentence that was kept."""
    return Sentence(str(kept["text"]), {name: _read(part) for name, part in kept.get("parts", {}).items()})


def plain(text: str) -> str:
    """Return what people wrote as one line without signs nobody sees: it goes into headers and cards."""
    visible = "".join(letter if letter.isprintable() else " " for letter in text)
    line = " ".join(visible.split())
    return line if len(line) <= LONGEST_PART else f"{line[: LONGEST_PART - 1]}…"


def _kept(part: object) -> Any:
    if isinstance(part, Sentence):
        return keep(part)
    if isinstance(part, datetime):
        return {"at": part.isoformat()}
    if isinstance(part, list | tuple):
        return {"all": [_kept(one) for one in part]}
    return part if isinstance(part, int | float) else plain(str(part))


def _read(kept: Any) -> object:
    if not isinstance(kept, Mapping):
        return kept
    if "at" in kept:
        return datetime.fromisoformat(kept["at"])
    return [_read(one) for one in kept["all"]] if "all" in kept else read(kept)
