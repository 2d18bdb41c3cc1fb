"""``gmud``: the gate, permits, deployments, changes and rollback from a shell or a CI job.

Exit codes (design/trust.md, section 2): 0 done, and for the gate only after the permit's signature, audience,
artifact, environment and time were verified and it was redeemed; 2 wrong use; 10 denied or refused; 11 unreachable;
12 bad signature; 13 clock; 14 still waiting at the time-out. The server is ``GMUD_URL``, the token ``GMUD_TOKEN``.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2

from releases.gate import keys, permits
from releases.gate.states import Intent

DONE, WRONG_USE, DENIED, UNREACHABLE, BAD_SIGNATURE, BAD_CLOCK, STILL_WAITING = 0, 2, 10, 11, 12, 13, 14
OK, CREATED, SERVER_ERROR, UNKNOWN_TOKEN = 200, 201, 500, 401
ASK_AGAIN_SECONDS, UNHEARD_SECONDS = 5.0, 1.0
PAUSES = (0.5, 1.0, 2.0, 4.0)  # between the tries of what may be said twice
TIMEOUT = httpx2.Timeout(10.0, connect=3.0)


class Ended(Exception):
    """The command ends here, with this exit code and line."""

    def __init__(self, code: int, line: str) -> None:
        """Keep both."""
        super().__init__(line)
        self.code = code
        self.line = line


@dataclass(frozen=True)
class Server:
    """The GMUD server, over HTTP; whatever is no clear answer counts as unreachable, never as yes."""

    url: str
    token: str

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        """Return status and document.

        :raises Ended: (11) no answer, a server error, or something that is no JSON object
        """
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            with httpx2.Client(timeout=TIMEOUT, trust_env=False) as client:
                answer = client.request(method, f"{self.url}{path}", json=body, headers=headers)
                document = answer.json()
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
            raise Ended(UNREACHABLE, f"{self.url} gave no answer that can be read ({type(error).__name__}).") from error
        if answer.status_code >= SERVER_ERROR or not isinstance(document, dict):
            raise Ended(UNREACHABLE, f"{self.url} cannot answer now ({answer.status_code}).")
        if answer.status_code == UNKNOWN_TOKEN:
            raise Ended(DENIED, str(document.get("detail", "Set GMUD_TOKEN to a valid token.")))
        return answer.status_code, document

    def say(self, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Post what may be said twice: without an answer it is said again a few times.

        :raises Ended: (11) as :meth:`call`, the last time
        """
        for pause in PAUSES:
            try:
                return self.call("POST", path, body)
            except Ended as ended:
                if ended.code != UNREACHABLE:
                    raise
            time.sleep(pause)
        return self.call("POST", path, body)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    server = Server(options.url.rstrip("/"), os.environ.get("GMUD_TOKEN", ""))
    run: Callable[[Server, argparse.Namespace], dict[str, Any]] = options.run
    try:
        document = run(server, options)
    except Ended as ended:
        print(ended.line, file=sys.stderr)
        return ended.code
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        print(f"{server.url} gave an answer of another shape ({type(error).__name__}: {error}).", file=sys.stderr)
        return UNREACHABLE
    print(json.dumps(document, indent=2, ensure_ascii=False) if options.json else document["line"])
    return DONE


def gate_wait(server: Server, options: argparse.Namespace) -> dict[str, Any]:
    """Ask until the gate allows, denies, or the time is over; on allow verify and redeem the permit.

    A server that does not answer is waited for as well: it is no yes, and need not be a no.
    """
    question = _question(options)
    until = time.monotonic() + options.timeout
    while True:
        try:
            status, answer = server.call("POST", "/api/v1/gate/decisions", question)
        except Ended as ended:
            if ended.code != UNREACHABLE or time.monotonic() + UNHEARD_SECONDS > until:
                raise
            print(ended.line, file=sys.stderr)
            time.sleep(UNHEARD_SECONDS)
            continue
        if status != OK:
            raise Ended(DENIED, _problem(answer))
        if answer.get("verdict") == "allow":
            break
        if answer.get("verdict") != "wait":
            raise Ended(DENIED, _reasons("denied", answer))
        pause = min(float(answer.get("retry_after") or ASK_AGAIN_SECONDS), ASK_AGAIN_SECONDS)
        if time.monotonic() + pause > until:
            raise Ended(STILL_WAITING, _reasons("still waiting", answer))
        print(_reasons("waiting", answer), file=sys.stderr)
        time.sleep(pause)
    permit = answer.get("permit")
    if not isinstance(permit, str):
        raise Ended(BAD_SIGNATURE, "The answer allows but brings no permit: treated as no.")
    claims = _verified(server, permit, options)
    _redeem(server, str(claims["jti"]), options)
    for place, text in ((options.permit_file, permit), (options.slot_file, str(answer.get("slot") or ""))):
        if place:
            Path(place).write_text(text)
    if answer.get("reasons"):
        print(_reasons("allowed, with a warning", answer), file=sys.stderr)
    return {**answer, "line": f"allowed by {answer.get('change_request')}, permit redeemed"}


def permit_verify(server: Server, options: argparse.Namespace) -> dict[str, Any]:
    """Verify a permit; nothing is redeemed."""
    claims = _verified(server, options.permit, options)
    return {**claims, "line": f"valid: {claims['act']} of {claims['art']} to {claims['env']} by {claims['sub']}"}


def permit_redeem(server: Server, options: argparse.Namespace) -> dict[str, Any]:
    """Verify a permit and redeem it."""
    claims = _verified(server, options.permit, options)
    taken = _redeem(server, str(claims["jti"]), options)
    return {**taken, "line": f"redeemed by {taken['run']}"}


def report(server: Server, options: argparse.Namespace) -> dict[str, Any]:
    """Report that a deployment starts, or how it ended; the same again changes nothing."""
    body = {"permit": _jti(options.permit), "run": _run(options), "artifact_digest": options.digest}
    status, answer = server.say("/api/v1/deployments", {**body, **options.told(options)})
    if status not in {OK, CREATED}:
        raise Ended(DENIED, _problem(answer))
    return {**answer, "line": f"reported: {answer['service']} {answer['version']} is {answer['state']}"}


def change_show(server: Server, options: argparse.Namespace) -> dict[str, Any]:
    """Show a change."""
    status, change = server.call("GET", f"/api/v1/changes/{_number(options.change)}")
    if status != OK:
        raise Ended(DENIED, _problem(change))
    items = "; ".join(f"{item['service']} {item['version']} to {item['environment']}" for item in change["items"])
    missing = [check["message"] for check in change["checklist"] if not check["holds"]]
    risk = change["level"] or "not assessed"
    lines = [f"{change['name']} {change['title']}", f"{change['state']}, risk {risk}", items]
    lines += [f"- {one}" for one in missing] if change["state"] == "draft" else []
    return {**change, "line": "\n".join(lines)}


def go_back(server: Server, options: argparse.Namespace) -> dict[str, Any]:
    """Take a change back."""
    path = f"/api/v1/changes/{_number(options.change)}/rollback"
    status, answer = server.call("POST", path, {"reason": options.reason})
    if status not in {OK, 202}:
        raise Ended(DENIED, _problem(answer))
    return {**answer, "line": f"{answer['change_request']} is {answer['state']}: {answer['url']}"}


def _verified(server: Server, permit: str, options: argparse.Namespace) -> Mapping[str, Any]:
    """Check the signature, the audience, the time, then artifact and environment by themselves.

    A job that brings versions forward and back takes a permit for either: unless it says which, the permit does.
    """
    _status, document = server.call("GET", "/api/v1/gate/jwks.json")
    try:
        intent = options.intent or str(permits.told(permit)["act"])
        audience = permits.audience_of(intent=intent, environment=options.environment, service=options.service)
        public = keys.from_jwks(document)
        claims = permits.verify(permit, keys=public, audience=audience, now=datetime.now(UTC))
    except permits.BadClock as error:
        raise Ended(BAD_CLOCK, f"The permit's time does not fit this machine's clock: {error}") from error
    except (permits.BadSignature, permits.BadClaims, KeyError, TypeError, ValueError) as error:
        raise Ended(BAD_SIGNATURE, f"The permit is not valid for this: {error}") from error
    if claims["art"] != options.digest or claims["env"] != options.environment or claims["svc"] != options.service:
        raise Ended(BAD_SIGNATURE, "The permit is for another artifact or place.")
    return claims


def _jti(permit: str) -> str:
    """Return the id of a permit that was verified when it was redeemed."""
    try:
        return str(permits.told(permit)["jti"])
    except (permits.BadSignature, KeyError) as error:
        raise Ended(BAD_SIGNATURE, f"This is no permit: {error}") from error


def _redeem(server: Server, jti: str, options: argparse.Namespace) -> dict[str, Any]:
    body = {"run": _run(options), "artifact_digest": options.digest}
    status, answer = server.say(f"/api/v1/gate/permits/{jti}/redeem", body)
    if status != OK:
        raise Ended(DENIED, _problem(answer))
    if (answer.get("jti"), answer.get("artifact_digest")) != (jti, options.digest):
        raise Ended(UNREACHABLE, f"{server.url} did not say that this permit was redeemed.")
    return answer


def _question(options: argparse.Namespace) -> dict[str, Any]:
    question: dict[str, Any] = {
        "service": options.service,
        "environment": options.environment,
        "artifact": {"name": options.name or options.service, "digest": options.digest},
        "intent": options.intent,
        "run": _run(options),
    }
    return {**question, "change_request": options.change} if options.change else question


def _run(options: argparse.Namespace) -> dict[str, str]:
    provider, _colon, name = options.ci_run.partition(":")
    return {"provider": provider, "id": name, "url": options.ci_url}


def _number(name: str) -> int:
    try:
        return int(name.upper().removeprefix("CHG-"))
    except ValueError as error:
        raise Ended(WRONG_USE, "Write the change like CHG-1042.") from error


def _reasons(word: str, answer: Mapping[str, Any]) -> str:
    lines = [f"{word}:"]
    for reason in answer.get("reasons", []):
        until = f" (until {reason['until']})" if reason.get("until") else ""
        lines.append(f"- {reason.get('code')}: {reason.get('message')}{until} {reason.get('fix') or ''}".rstrip())
    return "\n".join(lines)


def _problem(answer: Mapping[str, Any]) -> str:
    fields = [f"- {name}: {' '.join(texts)}" for name, texts in answer.get("fields", {}).items()]
    reasons = [f"- {one['code']}: {one['message']}" for one in answer.get("reasons", [])]
    return "\n".join([str(answer.get("detail", "refused")), *fields, *reasons])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gmud", description="Ask the gate, redeem permits, report deployments, show changes, go back."
    )
    parser.add_argument("--url", default=os.environ.get("GMUD_URL", "http://localhost:8000"), help="default: GMUD_URL")
    parser.add_argument("--json", action="store_true", help="print the whole answer as JSON")
    rooms = parser.add_subparsers(required=True, metavar="gate|permit|deployment|change|rollback")
    gate = rooms.add_parser("gate", help="ask the gate").add_subparsers(required=True, metavar="wait")
    wait = gate.add_parser("wait", help="ask until it allows, then verify and redeem the permit")
    _about_artifact(wait)
    wait.add_argument("--name", default="", help="name of the artifact, the service's by default")
    wait.add_argument("--change", default="", help="CHG-…; without it the gate finds the change")
    wait.add_argument("--permit-file", default="", help="where to leave the permit, for: gmud deployment")
    wait.add_argument("--slot-file", default="", help="where to leave the side to deploy to: stable or canary")
    wait.add_argument("--timeout", type=float, default=600.0, help="seconds to wait at most")
    _about_run(wait)
    wait.set_defaults(run=gate_wait)
    permit = rooms.add_parser("permit", help="verify or redeem a permit").add_subparsers(
        required=True, metavar="verify|redeem"
    )
    verify = permit.add_parser("verify", help="verify a permit")
    redeem = permit.add_parser("redeem", help="verify a permit and redeem it")
    for one, run in ((verify, permit_verify), (redeem, permit_redeem)):
        one.add_argument("permit", help="the compact permit")
        _about_artifact(one, intent="")
        one.set_defaults(run=run)
    _about_run(redeem)
    _add_reports(rooms.add_parser("deployment", help="report a deployment that is not GMUD's own"))
    change = rooms.add_parser("change", help="look at a change").add_subparsers(required=True, metavar="show")
    show = change.add_parser("show", help="show a change and what is missing")
    show.add_argument("change", help="CHG-…")
    show.set_defaults(run=change_show)
    back = rooms.add_parser("rollback", help="take a change back")
    back.add_argument("change", help="CHG-…")
    back.add_argument("--reason", default="", help="why; may come later")
    back.set_defaults(run=go_back)
    return parser


def _add_reports(parser: argparse.ArgumentParser) -> None:
    phases = parser.add_subparsers(required=True, metavar="start|finish")
    start = phases.add_parser("start", help="say that this run deploys, right after it redeemed its permit")
    start.set_defaults(told=lambda _options: {"phase": "start"})
    finish = phases.add_parser("finish", help="say how it ended")
    finish.add_argument("--outcome", required=True, choices=["succeeded", "failed", "canceled"])
    finish.add_argument("--message", default="", help="why, when it did not succeed")
    finish.set_defaults(told=lambda asked: {"phase": "finish", "outcome": asked.outcome, "message": asked.message})
    for one in (start, finish):
        one.add_argument("permit", help="the compact permit that this run redeemed")
        one.add_argument("--digest", required=True, help="sha256:…")
        _about_run(one)
        one.set_defaults(run=report)


def _about_artifact(parser: argparse.ArgumentParser, *, intent: str = "deploy") -> None:
    parser.add_argument("--service", required=True)
    parser.add_argument("--environment", required=True)
    parser.add_argument("--digest", required=True, help="sha256:…")
    said = f"default: {intent or 'whatever the permit is for'}"
    parser.add_argument("--intent", default=intent, choices=[*map(str, Intent)], help=said)


def _about_run(parser: argparse.ArgumentParser) -> None:
    """Take the run that deploys; it has no default, since two jobs that call themselves the same are one run."""
    parser.add_argument("--run", dest="ci_run", required=True, help="provider:id of the run, e.g. jenkins:77")
    parser.add_argument("--run-url", dest="ci_url", default="", help="where to look at the run")


if __name__ == "__main__":
    sys.exit(main())
