"""A stand-in of Jenkins: its HTTP words, its queue, and a deploy job that really asks the gate and really deploys.

``python -m gmud.sandbox.jenkins --port 8081 --gate-url http://127.0.0.1:8000 --kubernetes http://127.0.0.1:8082``

Beside the common controls: ``POST /_sandbox/settings`` with any of ``executors``, ``left_seconds``, ``base_url``,
``starting``, ``quieting``, ``restarted``, ``rename: [old, new]`` and ``jobs: {name: {disabled, vetoed, hold, outcomes,
ask, label, deaf, freestyle, parameters, quiet_seconds}}``. A job of that name is made when there is none; ``null``
deletes it.
"""

import base64
import binascii
import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from gmud.sandbox import jenkins_memory
from gmud.sandbox import jenkins_words as words
from gmud.sandbox.jenkins_answers import Refusal, api, delay, page, value
from gmud.sandbox.jenkins_controller import Build, Controller, Job, Parameter, default_jobs, job_from
from gmud.sandbox.jenkins_inputs import User, executions, pending, settle
from gmud.sandbox.jenkins_pipeline import Pipeline
from gmud.sandbox.keeping import Memory
from gmud.sandbox.server import Answer, Call, Sandbox, arguments, json_answer, serve, text_answer, with_memory

VERSION = "2.568.2"
TOKEN = "11" + hashlib.md5(b"gmud sandbox", usedforsecurity=False).hexdigest()  # the shape of a real API token
ACCOUNTS = {
    "gmud": {"token": TOKEN, "rights": ["read", "build", "cancel"]},
    "reader": {"token": TOKEN[::-1], "rights": ["read"]},
    "operator": {"password": "correct horse battery", "rights": ["read", "build", "cancel"]},
}
PERMISSIONS = {
    "read": "hudson.model.Hudson.Read",
    "build": "hudson.model.Item.Build",
    "cancel": "hudson.model.Item.Cancel",
}


class Jenkins(Sandbox):
    """Answers as Jenkins does, oddities included."""

    title = "jenkins"

    def __init__(
        self,
        *,
        jobs: Mapping[str, Job] | None = None,
        accounts: Mapping[str, Mapping[str, Any]] = ACCOUNTS,
        pipeline: Pipeline | None = None,
        speed: float = 1.0,
        memory: Memory | None = None,
    ) -> None:
        """Take the jobs of Bank of Anthos unless others are given, and the queue and builds of the last time."""
        super().__init__()
        self.given = jobs
        self.accounts = accounts
        self.pipeline = pipeline or Pipeline()
        self.speed = speed
        self.memory = memory or Memory()
        self.controller = self.memory.recall(self._recalled) or self._beginning()
        self.base_url = ""
        self.starting = False
        for item in list(self.controller.waiting()):
            self.controller.carry(item)

    def _beginning(self) -> Controller:
        jobs = default_jobs() if self.given is None else self.given
        controller = Controller(jobs, self.pipeline, self.speed, self.closing)
        controller.keep = lambda: self.memory.keep(jenkins_memory.told(controller))
        return controller

    def _recalled(self, kept: words.Json) -> Controller:
        controller = self._beginning()
        jenkins_memory.recall(controller, kept)
        return controller

    def reset(self) -> None:
        """Forget queue and builds; jobs are as at the start unless they were given as objects."""
        self.controller.forget()
        self.controller = self._beginning()
        self.controller.keep()
        self.base_url = ""
        self.starting = False

    def state(self) -> Any:
        """Return every item and build."""
        with self.controller.changed:
            jobs = self.controller.jobs.values()
            return {
                "queue": [words.item(item, "") for item in self.controller.waiting()],
                "builds": [words.build(build, "") for job in jobs for build in job.builds.values()],
                "jobs": sorted(self.controller.jobs),
            }

    def control(self, call: Call) -> Answer:
        """Take settings beside the common controls."""
        if (call.method, call.path) != ("POST", "/_sandbox/settings"):
            return super().control(call)
        asked = call.json()
        with self.controller.changed:
            for name in ("executors", "left_seconds", "quieting"):
                setattr(self.controller, name, asked.get(name, getattr(self.controller, name)))
            self.base_url = asked.get("base_url", self.base_url)
            self.starting = asked.get("starting", self.starting)
            if asked.get("restarted"):
                self.controller.restarted()
            if "rename" in asked:
                self.controller.rename(*asked["rename"])
            for name, fields in asked.get("jobs", {}).items():
                if fields is None:
                    self.controller.jobs.pop(name)
                    continue
                job = self.controller.jobs.setdefault(name, job_from({"name": name}))
                for field, value in fields.items():
                    setattr(job, field, [Parameter(**one) for one in value] if field == "parameters" else value)
            self.controller.changed.notify_all()
        return json_answer({})

    def answer(self, call: Call) -> Answer:
        """Answer one request; every answer carries the version."""
        try:
            answer = self._answer(call)
        except Refusal as refusal:
            answer = refusal.answer
        return Answer(answer.status, answer.body, {"X-Jenkins": VERSION, **answer.headers})

    def _answer(self, call: Call) -> Answer:
        if self.starting:
            return page(503, "Please wait while Jenkins is getting ready to work")
        user = self._user(call)
        base = self.base_url or call.origin
        match [unquote(part) for part in call.path.strip("/").split("/")]:
            case [""]:
                return page(200, "Dashboard")
            case ["crumbIssuer", "api", kind]:
                return self._crumb(call, user, kind)
            case ["api", kind]:
                return api(self._folder("", base), call, kind)
            case ["queue", "api", kind]:
                with self.controller.changed:
                    items = [words.item(item, base) for item in self.controller.waiting()]
                return api({"_class": "hudson.model.Queue", "discoverableItems": [], "items": items}, call, kind)
            case ["queue", "item", number, "api", kind] if number.isdigit():
                return self._item(call, int(number), base, kind)
            case ["queue", "cancelItem"]:
                return self._cancel(call, user)
            case ["computer", "api", kind]:
                with self.controller.changed:
                    shown = words.computers(self.controller.under_way(), self.controller.executors, base)
                return api(shown, call, kind)
            case ["job", *_] as parts:
                return self._below_job(call, user, parts, base)
        return page(404, "Not Found")

    def _user(self, call: Call) -> str:
        kind, _, code = call.headers.get("authorization", "").partition(" ")
        if kind.lower() != "basic":
            raise Refusal(self._forbidden("anonymous", "read"))
        try:
            name, _, secret = base64.b64decode(code, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            name = secret = ""
        account = self.accounts.get(name, {})
        if secret and secret == account.get("token") and "cookie" not in call.headers:
            return name  # with a session Jenkins would not look at the token, and so demand a crumb
        if not secret or secret not in (account.get("password"), account.get("token")):
            raise Refusal(page(401, "Invalid password/token", {"WWW-Authenticate": 'Basic realm="Jenkins"'}))
        if call.method == "POST":
            self._check_crumb(call, name)
        return name

    def _check_crumb(self, call: Call, user: str) -> None:
        """Demand a crumb from who signed in by password; API tokens are exempt."""
        session = re.search(r"JSESSIONID\.sandbox=(\w+)", call.headers.get("cookie", ""))
        if not session or call.headers.get("jenkins-crumb") != _crumb_of(user, session[1]):
            raise Refusal(page(403, "No valid crumb was included in the request"))

    def _crumb(self, call: Call, user: str, kind: str) -> Answer:
        session = _crumb_of(user, str(id(call)))[:16]
        value = {
            "_class": "hudson.security.csrf.DefaultCrumbIssuer",
            "crumb": _crumb_of(user, session),
            "crumbRequestField": "Jenkins-Crumb",
        }
        answer = api(value, call, kind)
        return Answer(
            200, answer.body, {**answer.headers, "Set-Cookie": f"JSESSIONID.sandbox={session}; Path=/; HttpOnly"}
        )

    def _forbidden(self, user: str, right: str) -> Answer:
        headers = {"X-You-Are-Authenticated-As": user, "X-Required-Permission": PERMISSIONS[right]}
        if user == "anonymous":
            body = "<html><head><meta http-equiv='refresh' content='1;url=/login'/></head></html>"
            return text_answer(body, 403, headers, "text/html;charset=utf-8")
        return page(403, f"{user} is missing the {PERMISSIONS[right]} permission", headers)

    def _demand(self, user: str, right: str) -> None:
        if right not in self.accounts[user]["rights"]:
            raise Refusal(self._forbidden(user, right))

    def _folder(self, path: str, base: str) -> words.Json:
        with self.controller.changed:
            names = [name for name in self.controller.jobs if name.startswith(path)]
        below = sorted({name[len(path) :].split("/")[0] for name in names})
        prefix = "".join(f"/job/{quote(part, safe='')}" for part in path.split("/") if part)
        jobs: list[words.Json] = []
        for name in below:
            leaf = self.controller.jobs.get(path + name)
            kind = words.job_class(leaf) if leaf else self._folder_class(f"{path}{name}/")
            at = f"{base}{prefix}/job/{quote(name, safe='')}/"
            one = {"_class": kind, "name": name, "fullName": path + name, "url": at}
            jobs.append({**one, "color": words.color(leaf)} if leaf else one)
        return {
            "_class": self._folder_class(path) if path else "hudson.model.Hudson",
            "name": path.strip("/").split("/")[-1],
            "fullName": path.strip("/"),
            "jobs": jobs,
            "url": f"{base}{prefix}/",
        }

    def _folder_class(self, path: str) -> str:
        holds_branches = any(job.branch for name, job in self.controller.jobs.items() if name.startswith(path))
        return words.MULTIBRANCH if holds_branches else words.FOLDER

    def _item(self, call: Call, number: int, base: str, kind: str) -> Answer:
        with self.controller.changed:
            found = self.controller.item(number)
            if found is None:
                return page(404, "Not Found")
            return api(words.item(found, base), call, kind)

    def _cancel(self, call: Call, user: str) -> Answer:
        if call.method != "POST":
            return page(405, "POST required", {"Allow": "POST"})
        if "cancel" not in self.accounts[user]["rights"]:
            return page(422, "Not cancellable by you")
        return Answer(204 if self.controller.cancel(int(call.first("id", "0"))) else 404)

    def _below_job(self, call: Call, user: str, parts: list[str], base: str) -> Answer:
        names: list[str] = []
        while len(parts) >= 2 and parts[0] == "job":
            names.append(parts[1])
            parts = parts[2:]
        path = "/".join(names)
        job = self.controller.jobs.get(path)
        if job is None:
            folder = any(name.startswith(f"{path}/") for name in self.controller.jobs)
            if folder and parts[:1] == ["api"]:
                return api(self._folder(f"{path}/", base), call, parts[1])
            return page(404, "Not Found")
        with self.controller.changed:
            return self._job(call, user, job, parts, base)

    def _job(self, call: Call, user: str, job: Job, parts: list[str], base: str) -> Answer:
        match parts:
            case ["api", kind]:
                items = [item for item in self.controller.waiting() if item.job is job]
                return api(words.job(job, base, items), call, kind)
            case ["build" | "buildWithParameters" as verb]:
                return self._trigger(call, user, job, verb, base)
            case [number, *rest] if number.isdigit() and int(number) in job.builds:
                return self._build(call, user, job.builds[int(number)], rest, base)
        return page(404, "Not Found")

    def _trigger(self, call: Call, user: str, job: Job, verb: str, base: str) -> Answer:
        if call.method != "POST":
            return page(405, "Form post required", {"Allow": "POST"})
        self._demand(user, "build")
        if job.disabled:
            return page(409, f"{job.full_name} is not buildable")
        if verb == "buildWithParameters" and not job.parameters:
            return page(400, f"{job.full_name} is not parameterized")
        if job.vetoed:
            return Answer(302, headers={"Location": f"{base}{job.path}/"})
        fields = {**call.query, **(call.form() if call.body else {})}
        if verb == "build" and job.parameters:
            given = json.loads(fields["json"][0])["parameter"]
            fields |= {one["name"]: [one["value"]] for one in (given if isinstance(given, list) else [given])}
        values = {parameter.name: value(parameter, fields.get(parameter.name)) for parameter in job.parameters}
        item, folded = self.controller.schedule(job, values, user, delay(fields.get("delay")), base)
        status = 303 if folded and verb == "buildWithParameters" else 201
        return Answer(status, headers={"Location": f"{base}/queue/item/{item.id}/"})

    def _build(self, call: Call, user: str, build: Build, parts: list[str], base: str) -> Answer:
        match parts:
            case ["api", kind]:
                return api(words.build(build, base), call, kind)
            case ["wfapi" | "input" | "term" | "kill", *_] if build.job.freestyle:
                return page(404, "Not Found")
            case ["wfapi", "describe"]:
                return json_answer(words.describe(build))
            case ["wfapi", "pendingInputActions"]:
                return json_answer([pending(build.input, build)] if build.input else [])
            case ["input", "api", kind]:
                return api(executions(build), call, kind)
            case ["input", name, verb] if build.input and name == build.input.id:
                who = User(user, self.accounts[user]["rights"])
                return settle(self.controller, call, verb, build, build.input, who)
            case ["stop" | "term" | "kill" as how] if call.method == "POST":
                self._demand(user, "cancel")
                self.controller.stop(build, how)
                page_of_build = f"{base}{build.job.path}/{build.number}/"
                return Answer(302, headers={"Location": call.headers.get("referer", page_of_build)})
            case ["logText", "progressiveText"]:
                text, start = build.text(), int(call.first("start", "0"))
                headers = {"X-Text-Size": str(len(text))} | ({"X-More-Data": "true"} if build.in_progress else {})
                part = words.shown(text[start if start <= len(text) else 0 :])
                return Answer(200, part, {"Content-Type": "text/plain;charset=UTF-8", **headers})
            case ["consoleText"]:
                return Answer(200, words.shown(build.text()), {"Content-Type": "text/plain;charset=utf-8"})
        return page(404, "Not Found")


def _crumb_of(user: str, session: str) -> str:
    return hashlib.sha256(f"{user};{session}".encode()).hexdigest()


def main() -> None:
    """Run the stand-in as a process of its own."""
    parser = with_memory(arguments(__doc__.splitlines()[0] if __doc__ else ""))
    parser.add_argument("--gate-url", default=os.environ.get("GMUD_GATE_URL", ""), help="where permits are redeemed")
    parser.add_argument("--gate-token-file", default="", help="file with the bearer token for the gate")
    parser.add_argument("--kubernetes", default="", help="address of the cluster that the job deploys to")
    parser.add_argument("--kubernetes-token", default="sandbox-full", help="bearer token for the cluster")
    parser.add_argument("--namespace", action="append", default=[], metavar="ENVIRONMENT=NAMESPACE")
    parser.add_argument("--speed", type=float, default=1.0, help="how much faster than the configured seconds")
    parser.add_argument("--config", help='JSON: {"jobs": [{"name": "team/deploy-x", …}]}')
    given = parser.parse_args()
    jobs = None
    if given.config:
        jobs = {one["name"]: job_from(one) for one in json.loads(Path(given.config).read_text())["jobs"]}
    pipeline = Pipeline(
        given.gate_url,
        given.gate_token_file,
        given.kubernetes,
        given.kubernetes_token,
        {**Pipeline().namespaces, **dict(one.split("=", 1) for one in given.namespace)},
    )
    serve(Jenkins(jobs=jobs, pipeline=pipeline, speed=given.speed, memory=Memory(given.state)), given.port)


if __name__ == "__main__":
    main()
