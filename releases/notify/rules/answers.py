"""What an HTTP status says of a letter."""

from releases.core.errors import External, Rejected, Sentence, Unreachable
from releases.core.words import mark as _
from releases.notify.ports import Later
from releases.notify.rules.sending import LONGEST_ASKED

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
        if retry_after.isdecimal():
            return Later(sentence, seconds=min(float(retry_after), LONGEST_ASKED.total_seconds()))
        return Unreachable(sentence)
    sentence = Sentence(_("It refused with %(status)s: %(said)s"), {"status": status, "said": quote})
    return Rejected(sentence, http_status=status, body=said)
