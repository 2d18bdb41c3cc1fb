"""The ways an API server says no, worded as the recorded real one words them."""

from collections.abc import Mapping, Sequence
from typing import Any

from gmud.sandbox.server import Answer, json_answer, text_answer

PLAIN = "text/plain; charset=utf-8"
UNCHECKED = {
    "reason": "FieldValueInvalid",
    "message": "Invalid value: null: some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation",
    "field": "<nil>",
}


class Failure(Exception):
    """A refusal on its way out: the whole answer."""

    def __init__(self, answer: Answer) -> None:
        """Keep the answer."""
        super().__init__(answer.status)
        self.answer = answer


def status(code: int, message: str, reason: str = "", details: Mapping[str, Any] | None = None) -> Failure:
    """Return a ``Status`` object; an empty ``reason`` is left out, as the server does for a webhook's denial."""
    body: dict[str, Any] = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
    }
    if reason:
        body["reason"] = reason
    if details is not None:
        body["details"] = dict(details)
    return Failure(json_answer({**body, "code": code}, code))


def page_not_found() -> Failure:
    """Return the plain page for a group, version or path that is not served."""
    return Failure(text_answer("404 page not found\n", 404, kind=PLAIN))


def unauthorized() -> Failure:
    """Return what a missing or unknown token gets."""
    return status(401, "Unauthorized", "Unauthorized")


def forbidden(user: str, verb: str, plural: str, group: str, namespace: str, name: str, sub: str = "") -> Failure:
    """Return what the role of the token does not cover."""
    what = f'{_dotted(plural, group)} "{name}"' if name else _dotted(plural, group)
    resource = f"{plural}/{sub}" if sub else plural
    message = (
        f'{what} is forbidden: User "{user}" cannot {verb} resource "{resource}" in API group "{group}" '
        f'in the namespace "{namespace}"'
    )
    return status(403, message, "Forbidden", _named(name, group, plural))


def not_found(plural: str, group: str, name: str) -> Failure:
    """Return what a missing object gets."""
    return status(404, f'{_dotted(plural, group)} "{name}" not found', "NotFound", _named(name, group, plural))


def already_exists(plural: str, group: str, name: str) -> Failure:
    """Return what a second creation gets."""
    message = f'{_dotted(plural, group)} "{name}" already exists'
    return status(409, message, "AlreadyExists", _named(name, group, plural))


def conflict(plural: str, group: str, name: str) -> Failure:
    """Return what a write with a stale resourceVersion gets."""
    message = (
        f'Operation cannot be fulfilled on {_dotted(plural, group)} "{name}": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    return status(409, message, "Conflict", _named(name, group, plural))


def apply_conflict(rivals: Sequence[tuple[str, str, tuple[str, ...]]]) -> Failure:
    """Return what an apply gets that would change what others own: manager, version and path of each."""
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": f'conflict with "{manager}" using {version}',
            "field": "".join(part.replace("f:", ".") for part in path),
        }
        for manager, version, path in rivals
    ]
    told = ", ".join(f"{cause['message']}: {cause['field']}" for cause in causes)
    many = "conflict" if len(causes) == 1 else "conflicts"
    return status(409, f"Apply failed with {len(causes)} {many}: {told}", "Conflict", {"causes": causes})


def no_field_manager() -> Failure:
    """Return what an apply gets that does not say who applies."""
    cause = {
        "reason": "FieldValueRequired",
        "message": "Required value: is required for apply patch",
        "field": "fieldManager",
    }
    return invalid("PatchOptions", "PatchOptions", "meta.k8s.io", "", [cause])


def wrong_uid(kind: str, group: str, name: str, asked: str, there: str) -> Failure:
    """Return what a deletion with another object's uid gets."""
    message = (
        f'Operation cannot be fulfilled on {_dotted(kind, group)} "{name}": the UID in the precondition ({asked}) does '
        f"not match the UID in record ({there}). The object might have been deleted and then recreated"
    )
    return status(409, message, "Conflict", _named(name, group, kind))


def patch_failed() -> Failure:
    """Return what any failed operation of a JSON patch gets: no word about which."""
    return status(422, "the server rejected our request due to an error in our request", "Invalid", {})


def invalid(named: str, kind: str, group: str, name: str, causes: Sequence[Mapping[str, str]]) -> Failure:
    """Return a refusal by schema; ``named`` is the kind or the plural, the server uses both."""
    told: list[str] = []
    for cause in causes:
        line = f"{cause['field']}: {cause['message']}"
        if line not in told:
            told.append(line)
    text = told[0] if len(told) == 1 else f"[{', '.join(told)}]"
    details = {**_named(name, group, kind), "causes": [dict(cause) for cause in causes]}
    return status(422, f'{_dotted(named, group)} "{name}" is invalid: {text}', "Invalid", details)


def bad_request(message: str) -> Failure:
    """Return what an unreadable request gets."""
    return status(400, message, "BadRequest")


def unknown_format(*, custom: bool) -> Failure:
    """Return what a patch type gets that the resource does not take."""
    kinds = ["application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"]
    if not custom:
        kinds.insert(2, "application/strategic-merge-patch+json")
    message = f"the body of the request was in an unknown format - accepted media types include: {', '.join(kinds)}"
    return status(415, message, "UnsupportedMediaType")


def denied(message: str) -> Failure:
    """Return a webhook's denial: 400 and no ``reason`` at all."""
    return status(400, f'admission webhook "validation.istio.io" denied the request: {message}')


def webhook_failed(why: str) -> Failure:
    """Return what every write gets while a required webhook does not answer."""
    message = f'failed calling webhook "validation.istio.io": failed to call webhook: {why}'
    return status(500, f"Internal error occurred: {message}", "InternalError", {"causes": [{"message": message}]})


def timed_out() -> Failure:
    """Return the answer at the server's own time limit: a Status in a plain-text coat."""
    body = (
        '{"metadata":{},"status":"Failure","message":"Timeout: request did not complete within the allotted timeout",'
        '"reason":"Timeout","details":{},"code":504}'
    )
    return Failure(text_answer(body, 504, kind=PLAIN))


def method_not_allowed() -> Failure:
    """Return what a method gets that the resource does not know."""
    return status(405, "the server does not allow this method on the requested resource", "MethodNotAllowed", {})


def _dotted(plural: str, group: str) -> str:
    return f"{plural}.{group}" if group else plural


def _named(name: str, group: str, kind: str) -> dict[str, Any]:
    found = {"name": name, "group": group, "kind": kind}
    return {key: value for key, value in found.items() if value}
