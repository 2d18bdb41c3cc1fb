"""Mark sentences for translation in modules that must not know Django."""


def mark(text: str) -> str:
    """Return the text unchanged; import it as ``_`` so that makemessages collects what it wraps."""
    return text
