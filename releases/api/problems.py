"""Every failure as ``application/problem+json`` (RFC 9457) with ``code``, ``detail`` and ``reasons``."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import Error as DatabaseError
from django.http import Http404
from rest_framework import status
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.response import Response
from rest_framework.settings import api_settings
from structlog import get_logger

from releases.core.errors import GmudError, Invalid, Reason
from releases.core.translation import say

CONTENT_TYPE = "application/problem+json"
RETRY_SECONDS = 5
log = get_logger(__name__)


def handle(error: Exception, context: dict[str, Any]) -> Response:
    """Turn an error into a problem document; what nobody foresaw says deny where the gate was asked."""
    if isinstance(error, GmudError):
        extra: dict[str, Any] = {"reasons": [reason_data(one) for one in error.reasons]}
        if isinstance(error, Invalid):
            extra["fields"] = {name: [say(one) for one in many] for name, many in error.fields.items()}
        return problem(error.status, error.code, say(error.detail), **extra)
    if isinstance(error, ValidationError):
        fields = _flat(error.detail)
        return problem(error.status_code, "invalid", "Some fields need your attention.", fields=fields)
    if isinstance(error, APIException):
        headers = {"WWW-Authenticate": error.auth_header} if hasattr(error, "auth_header") else {}
        answer = problem(error.status_code, str(error.default_code), str(error.detail))
        for name, value in headers.items():
            answer[name] = value
        return answer
    if isinstance(error, Http404):
        return problem(status.HTTP_404_NOT_FOUND, "not_found", "There is no such thing.")
    if isinstance(error, PermissionDenied):
        return problem(status.HTTP_403_FORBIDDEN, "not_permitted", "This token may not do this.")
    log.error("request.failed", exc_info=error)
    if isinstance(error, DatabaseError) or getattr(context.get("view"), "fails_closed", False):
        return _unavailable()
    return problem(status.HTTP_500_INTERNAL_SERVER_ERROR, "error", "Something broke here. It was logged.")


def problem(code: int, name: str, detail: str, **extra: Any) -> Response:
    """Return a problem document."""
    document = {"type": "about:blank", "status": code, "code": name, "detail": detail, **extra}
    return Response(document, status=code, content_type=CONTENT_TYPE)


def reason_data(reason: Reason) -> dict[str, Any]:
    """Return a reason as the API says it."""
    return {
        "code": str(reason.code),
        "severity": reason.severity,
        "message": say(reason.message),
        "fix": say(reason.fix) if reason.fix else None,
        "until": reason.until.isoformat() if reason.until else None,
    }


def _unavailable() -> Response:
    """Fail closed: whoever asked the gate reads deny."""
    answer = problem(
        status.HTTP_503_SERVICE_UNAVAILABLE,
        "unavailable",
        "GMUD cannot decide right now. Nothing was changed.",
        verdict="deny",
    )
    answer["Retry-After"] = str(RETRY_SECONDS)
    return answer


def _inside(path: str, name: str) -> str:
    """Return the dotted name of a field; what is wrong with the whole goes by the name of the whole."""
    if name == api_settings.NON_FIELD_ERRORS_KEY:
        return path
    return f"{path}.{name}" if path else name


def _flat(detail: Any, path: str = "") -> dict[str, list[str]]:
    """Return nested errors by dotted field names."""
    if isinstance(detail, dict):
        pairs = [(_inside(path, str(name)), one) for name, one in detail.items()]
    elif isinstance(detail, list) and any(isinstance(one, dict | list) for one in detail):
        pairs = [(f"{path}.{index}" if path else str(index), one) for index, one in enumerate(detail) if one]
    else:
        return {path or "body": [str(one) for one in (detail if isinstance(detail, list) else [detail])]}
    return {name: texts for key, one in pairs for name, texts in _flat(one, key).items()}
