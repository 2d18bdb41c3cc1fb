"""What an answer of Jenkins means that is not the wanted one: a clear no, or an outcome that is not known."""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from releases.core.errors import Rejected, Sentence, Unreachable
from releases.core.http import Reply
from releases.core.words import mark as _

NO_CRUMB = "No valid crumb was included"
ILLEGAL_CHOICE = re.compile(r"Illegal choice for parameter ([\w.-]+)")
NOS: Mapping[int, str] = {
    400: _("Jenkins says that this job takes no parameters. Run it once so that it learns them."),
    401: _("Jenkins does not accept the account or its API token. It may have expired."),
    403: _("Jenkins refuses this account. Check its permissions on the job and its folders."),
    404: _("Jenkins has no such job, or the account may not read it or one of its folders. Correct one of the two."),
    405: _("Jenkins does not take this kind of request here. Look whether a proxy before it lets POST through."),
    409: _("The job is disabled in Jenkins. Enable it, then try again."),
    422: _("Jenkins does not let this account cancel. Give it the permission Job/Cancel."),
}
UNKNOWNS: Mapping[int, str] = {
    429: _("Jenkins, or a proxy before it, has too much to do. It is asked again later."),
    503: _("Jenkins is starting, or too busy to answer. It is asked again."),
}


def failure(reply: Reply) -> Rejected | Unreachable:
    """Return the error that an answer means."""
    said = reply.headers.get("x-error", "")
    if sentence := _no(reply, said):
        return Rejected(sentence, http_status=reply.status, body=said or reply.text)
    return Unreachable(_unknown(reply), after_seconds=reply.retry_after)


def _no(reply: Reply, said: str) -> Sentence | None:
    """Return the clear no, ``None`` when it is none."""
    missing = reply.headers.get("x-required-permission", "")
    if reply.status == 403 and reply.headers.get("x-you-are-authenticated-as") == "anonymous":
        return Sentence(_("Jenkins did not take the account: it answered as it does to strangers."))
    if reply.status == 403 and missing:
        text = _("Jenkins refuses: the account needs the permission %(permission)s.")
        return Sentence(text, {"permission": missing})
    if reply.status == 400 and said:
        return Sentence(_("Jenkins refuses: %(why)s"), {"why": said})
    if reply.status == 500 and (name := ILLEGAL_CHOICE.search(reply.text)):
        return Sentence(_("The job does not allow the value of its parameter %(name)s."), {"name": name[1]})
    return Sentence(NOS[reply.status]) if reply.status in NOS else None


def _unknown(reply: Reply) -> Sentence:
    if 300 <= reply.status < 400:
        place = urlsplit(reply.headers.get("location", "")).netloc or "?"
        text = _("Jenkins sends us on to %(place)s, which is never followed. Correct the address of the connection.")
        return Sentence(text, {"place": place})
    if reply.status == 200:
        text = _("A page for people came instead of Jenkins' answer: a sign-in page or a proxy stands before it.")
        return Sentence(text)
    text = UNKNOWNS.get(reply.status, _("Jenkins answered %(status)s, so what happened is not known."))
    return Sentence(text, {"status": reply.status} if reply.status not in UNKNOWNS else {})
