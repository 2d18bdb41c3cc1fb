"""What an HTTP status says of a letter."""

from releases.core.errors import External, Rejected, Sentence, Unreachable
from releases.core.words import mark as _
from releases.notify.ports import Later

NOT_NOW = frozenset({408, 425, 429})
OK, REDIRECT, BAD_REQUEST, SERVER_ERROR = 200, 300, 400, 500
LONGEST_QUOTE = 120


def trouble_of(status: int, *, retry_after: str = "", said: str = "") -> External | None:
    """Return why a letter did not arrive, ``None`` when it did; whatever is no clear no may be tried again.

    A redirect is a clear no: the address is to be corrected, not followed.
    """
    if OK <= status < REDIRECT:
        return None
    quote = said[:LONGEST_QUOTE].replace("\n", " ")
    if status in NOT_NOW or status >= SERVER_ERROR:
        sentence = Sentence(_("It answered %(status)s: %(said)s"), {"status": status, "said": quote})
        return Later(sentence, seconds=float(retry_after)) if retry_after.isdecimal() else Unreachable(sentence)
    sentence = Sentence(_("It refused with %(status)s: %(said)s"), {"status": status, "said": quote})
    return Rejected(sentence, http_status=status, body=said)
