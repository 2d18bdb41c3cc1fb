"""Say a sentence in the language of whoever reads it; the doors call this, rules never do."""

from django.utils.translation import gettext

from releases.core.errors import Sentence


def say(sentence: Sentence) -> str:
    """Return the sentence in the active language."""
    text = gettext(sentence.text)
    return text % sentence.parts if sentence.parts else text
