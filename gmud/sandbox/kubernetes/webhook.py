"""A stand-in of istiod's validating webhook: the weight rules, and the ways it fails."""

import threading
from dataclasses import dataclass, field
from typing import Any

from gmud.sandbox.kubernetes import failures

ADDRESS = "127.0.0.1:19443"
_FAILURES = {
    "down": f'Post "https://{ADDRESS}/validate?timeout=1s": dial tcp {ADDRESS}: connect: connection refused',
    "timeout": f'Post "https://{ADDRESS}/validate?timeout=1s": context deadline exceeded',
    "error": 'an error on the server ("") has prevented the request from succeeding',
}


@dataclass
class Webhook:
    """``policy``: Fail, Ignore or Absent (not installed); ``state``: up, down, error, timeout or slow."""

    policy: str = "Fail"
    state: str = "up"
    seconds: float = 4.0
    warnings: list[str] = field(default_factory=list)

    def review(self, spec: dict[str, Any], limit: float, closing: threading.Event) -> list[str]:
        """Judge a spec and return warnings; ``limit`` is the request's own time limit in seconds.

        :raises Failure: denied, not reachable while required, or slower than the limit
        """
        if self.policy == "Absent":
            return []
        if self.state == "slow":
            closing.wait(min(self.seconds, limit))
            if self.seconds > limit:
                raise failures.timed_out()
        if self.state in _FAILURES:
            if self.policy == "Fail":
                raise failures.webhook_failed(_FAILURES[self.state])
            return []
        errors = _errors(spec)
        if len(errors) == 1:
            raise failures.denied(f"configuration is invalid: {errors[0]}")
        if errors:
            listed = "".join(f"\t* {error}\n" for error in errors)
            raise failures.denied(f"configuration is invalid: {len(errors)} errors occurred:\n{listed}\n")
        return list(self.warnings)


def _errors(spec: dict[str, Any]) -> list[str]:
    found: list[str] = []
    for section in ("http", "tls", "tcp"):
        for route in spec.get(section) or []:
            weights = [entry.get("weight", 0) for entry in route.get("route") or []]
            found += [f"weight {weight} < 0" for weight in weights if weight < 0]
            if len(weights) > 1 and sum(weights) == 0:
                found.append("total destination weight = 0")
    return found
