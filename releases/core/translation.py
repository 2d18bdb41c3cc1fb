"""Say a sentence in the language of whoever reads it; the doors call this, rules never do."""

from django.utils.translation import gettext

from releases.core.errors import Sentence


def say(sentence: Sentence) -> str:
    """Return the sentence in the active language."""
    text = gettext(sentence.text)
    parts = {name: say(part) if isinstance(part, Sentence) else part for name, part in sentence.parts.items()}
    return text % parts if parts else text
