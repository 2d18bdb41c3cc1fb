"""A server that expects recorded requests in order and answers the recorded answers."""

import json
from typing import Any

from gmud.sandbox.server import Answer, Call, Sandbox, json_answer, text_answer

Exchange = tuple[dict[str, Any], dict[str, Any]]


class Replay(Sandbox):
    """Holds a script of (expected request, recorded answer); what we sent is checked, not only what came back."""

    title = "replay"

    def __init__(self, script: list[Exchange]) -> None:
        super().__init__()
        self.script = list(script)
        self.mistakes: list[str] = []

    def answer(self, call: Call) -> Answer:
        if not self.script:
            self.mistakes.append(f"one request too many: {call.method} {call.path}")
            return text_answer("", 500)
        wanted, recorded = self.script.pop(0)
        sent = {
            "method": call.method,
            "path": call.path,
            "query": {name: values[0] for name, values in call.query.items()},
            "body": json.loads(call.body) if call.body else None,
            "headers": {name: call.headers.get(name) for name in wanted["headers"]},
        }
        if sent != wanted:
            self.mistakes.append(f"wanted {wanted}, got {sent}")
        body, headers = recorded.get("body"), recorded.get("headers", {})
        if isinstance(body, dict) and "_raw_text" in body:
            return text_answer(body["_raw_text"], recorded["status"], headers)
        if isinstance(body, str):
            return text_answer(body, recorded["status"], headers)
        return json_answer(body, recorded["status"], headers, kind=headers.get("content-type", "application/json"))
