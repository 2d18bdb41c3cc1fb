"""How stages call out: one HTTP request, answered or not."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


class NoAnswer(Exception):
    """The other side did not answer at all."""


@dataclass(frozen=True)
class Heard:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    text: str

    def json(self) -> Any:
        """Return the body as JSON; what is none is text, as Orca keeps it."""
        try:
            return json.loads(self.text)
        except ValueError:
            return self.text


def speak(
    method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None, seconds: float = 20.0
) -> Heard:
    """Send one request and return the answer, whatever its status.

    :raises NoAnswer: there was none
    """
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=seconds)
    given = {"Accept": "application/json", "Host": parts.netloc, **(headers or {})}
    if body is not None:
        given = {"Content-Type": "application/json", **given}
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(method, path, body if isinstance(body, str | None) else json.dumps(body), given)
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Heard(answer.status, found, answer.read().decode("utf-8", "replace"))
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswer(f"{parts.netloc} did not answer ({type(error).__name__})") from error
    finally:
        connection.close()
