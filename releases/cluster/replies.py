"""Read an API server's answer: an object, or the error that says what to do next."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from releases.cluster import errors
from releases.core.errors import GmudError, Rejected, Sentence, Unreachable
from releases.core.http import Reply
from releases.core.words import mark as _

DEFAULT_PAUSE = 1.0
_REJECTIONS: Mapping[int, type[Rejected]] = {
    400: errors.Malformed,
    401: errors.Unauthorized,
    403: errors.Forbidden,
    405: errors.Malformed,
    406: errors.Malformed,
    409: errors.VersionConflict,
    415: errors.Malformed,
    422: errors.Invalid,
}
_WEBHOOK = 'failed calling webhook "'
_DENIED = "admission webhook "
_NO_DRY_RUN = "does not support dry run"
_LONGEST_AUDIT_ID = 64  # a proxy between may write what it likes


@dataclass(frozen=True, slots=True)
class Found:
    """An object as the server told it, with its warnings and the id under which the server's own log keeps the call."""

    body: Mapping[str, Any]
    warnings: tuple[str, ...]
    audit_id: str


def found(reply: Reply) -> Found:
    """Return the object of a successful answer.

    :raises Rejected: a clear no, as the subclass that says which
    :raises Unreachable: what happened is not known
    """
    if reply.status not in (200, 201):
        raise failure(reply)
    body = reply.json()
    if not isinstance(body, dict):
        raise Unreachable(Sentence(_("The cluster answered with something that is not an object.")))
    audit_id = reply.headers.get("audit-id", "")[:_LONGEST_AUDIT_ID]
    return Found(body, _warnings(reply.headers.get("warning", "")), audit_id)


def failure(reply: Reply) -> GmudError:
    """Return the error an answer stands for."""
    if reply.status == 429:
        return errors.Throttled(
            Sentence(_("The cluster asks to come back later (too many requests).")),
            retry_after=_seconds(reply.headers.get("retry-after", "")),
        )
    body = _status(reply)
    message = str(body.get("message", "")) or reply.text[:200]
    if reply.status >= 500 or reply.status < 400:
        return _unknown(reply.status, message)
    parts = {"status": reply.status, "message": message}
    sentence = Sentence(_("The cluster refused (%(status)s): %(message)s"), parts)
    return _kind(reply.status, body)(sentence, http_status=reply.status, body=reply.text)


def _kind(status: int, body: Mapping[str, Any]) -> type[Rejected]:
    """Tell apart what shares a status: both kinds of 400, of 404 and of 422."""
    reason = body.get("reason", "")
    if status == 404:
        return errors.ObjectMissing if reason == "NotFound" else errors.NotInstalled
    if status == 400 and not reason and str(body.get("message", "")).startswith(_DENIED):
        return errors.Denied
    if status == 400 and str(body.get("message", "")).endswith(_NO_DRY_RUN):
        return errors.DryRunUnsupported
    if status == 422 and not body.get("details"):
        return errors.PatchFailed
    return _REJECTIONS.get(status, Rejected)


def _unknown(status: int, message: str) -> Unreachable:
    if _WEBHOOK in message:
        parts = {"webhook": message.split(_WEBHOOK, 1)[1].split('"', 1)[0]}
        return errors.WebhookDown(
            Sentence(
                _("The webhook %(webhook)s does not answer, so nobody can write this object. Bring istiod back first."),
                parts,
            )
        )
    sentence = _("The cluster answered %(status)s; whether it did anything is not known: %(message)s")
    return Unreachable(Sentence(sentence, {"status": status, "message": message[:200]}))


def _status(reply: Reply) -> Mapping[str, Any]:
    """Return the Status object of a refusal, whatever content type it came with; empty for plain text."""
    try:
        body = reply.json()
    except Unreachable:
        return {}
    return body if isinstance(body, dict) else {}


def _seconds(header: str) -> float:
    return float(header) if header.isdigit() else DEFAULT_PAUSE


def _warnings(header: str) -> tuple[str, ...]:
    """Return the texts of ``299 - "…"`` warnings."""
    texts: list[str] = []
    rest = header
    while '299 - "' in rest:
        rest = rest.split('299 - "', 1)[1]
        text = ""
        while rest and rest[0] != '"':
            step = 2 if rest[0] == "\\" else 1
            text, rest = text + rest[step - 1 : step], rest[step:]
        texts.append(text)
    return tuple(texts)
