"""A request to the sandbox's Gate, and its refusals as Spring writes them."""

from dataclasses import dataclass

from gmud.sandbox.server import Answer, Call, json_answer
from gmud.sandbox.spinnaker import words

NAMES = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed"}


class Refusal(Exception):
    """An answer other than the wanted one."""

    def __init__(self, answer: Answer) -> None:
        """Keep the answer."""
        self.answer = answer
        super().__init__(answer.status)


@dataclass(frozen=True)
class Request:
    """A call with its parts: segments of the path, decoded, and who asks."""

    call: Call
    parts: list[str]
    user: str

    def refuse(self, status: int, message: str) -> Refusal:
        """Return the refusal that Spring would write."""
        return Refusal(json_answer(words.error(status, NAMES.get(status, "Error"), message, self.call.path), status))
