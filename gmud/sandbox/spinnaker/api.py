"""Gate: who may speak, and what it says.

From source: a caller nobody knows is sent to ``/login`` (302), never 401; the older trigger answers when Orca has
stored the execution, the newer one (``v2``) when Echo has the event, so its reference may stay 404 for ever; the
triggers of a name look into the application first and then for an id in **every** application; ``GET /pipelines/{id}``
is 200 with an empty body when Orca failed in another way than 404; ``PATCH`` of a stage is 200 whether or not the
judgment is taken; cancel, pause and resume answer 200 with nothing; lists leave out what may not be read.

Inferred: a token or password that is wrong is 401, pausing what does not run is 400, and the fields of
``serverGroups`` beside name, account and region.

Beside the common controls: ``POST /_sandbox/settings`` with any of ``orca`` (``ok``, or ``refuses``: it answers 403 to
Gate), ``echo`` (``ok``, or ``deaf``: events are taken and forgotten), ``echo_seconds``, ``pipelines: {"app/name":
{disabled, hold, outcomes, buffered, stages, parameters, limit_concurrent, keep_waiting, name}}`` (one is made when
there is none; ``null`` deletes it), ``groups: {"account/cluster/region": [{name, enabled, image}]}``.
"""

import base64
import json
import uuid
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from threading import Timer
from typing import Any
from urllib.parse import unquote

from gmud.sandbox.keeping import Memory
from gmud.sandbox.server import Answer, Call, Sandbox, json_answer
from gmud.sandbox.spinnaker import memory as keeping
from gmud.sandbox.spinnaker import words
from gmud.sandbox.spinnaker.accounts import ACCOUNTS, Unknown, caller
from gmud.sandbox.spinnaker.clouds import servers
from gmud.sandbox.spinnaker.infrastructure import groups, managers, manifest, target
from gmud.sandbox.spinnaker.models import Execution, Json, Pipeline, ulid
from gmud.sandbox.spinnaker.orca import Disabled, Orca
from gmud.sandbox.spinnaker.requests import Refusal, Request
from gmud.sandbox.spinnaker.seed import a_pipeline, bank_of_anthos
from gmud.sandbox.spinnaker.work import Works

TRIGGER = frozenset({"type", "correlationId", "user", "parameters", "artifacts", "notifications", "dryRun", "rebake"})
"""What Echo's trigger has a place for; anything else in a v2 request is lost."""
EMPTY = Answer(200)


class Gate(Sandbox):
    """Answers as Gate does, oddities included."""

    title = "spinnaker"

    def __init__(
        self,
        works: Works,
        *,
        pipelines: Mapping[str, Pipeline] | None = None,
        accounts: Mapping[str, Mapping[str, Any]] = ACCOUNTS,
        speed: float = 1.0,
        memory: Memory | None = None,
    ) -> None:
        """Take the pipelines of Bank of Anthos unless others are given, and the executions of the last time."""
        super().__init__()
        self.works = works
        self.given = pipelines
        self.accounts = accounts
        self.speed = speed
        self.memory = memory or Memory()
        self._begin()
        self.memory.recall(self._recall)
        self.orca.go_on()

    def _begin(self) -> None:
        self.pipelines = dict(bank_of_anthos() if self.given is None else self.given)
        self.orca_says, self.echo_says, self.echo_seconds = "ok", "ok", 0.1
        orca = Orca(self.works, self.speed, self.closing)
        orca.roles = lambda user: list(self.accounts.get(user, {}).get("roles", ()))
        orca.keep = lambda: self.memory.keep(keeping.told(orca))
        self.orca = orca
        self._index()

    def _recall(self, kept: Json) -> Orca:
        keeping.recall(self.orca, kept)
        return self.orca

    def _index(self) -> None:
        self.orca.pipelines = {one.id: one for one in self.pipelines.values()}

    def reset(self) -> None:
        """Forget every execution and every setting."""
        self.orca.forget()
        self.works.clouds.revisions.clear()
        self.works.clouds.groups.clear()
        self._begin()
        self.orca.keep()

    def state(self) -> Any:
        """Return every execution, pipelines and tasks."""
        with self.orca.changed:
            return {
                "executions": [words.execution(one) for one in self.orca.executions.values()],
                "pipelines": sorted(self.pipelines),
            }

    def control(self, call: Call) -> Answer:
        """Take settings beside the common controls."""
        if (call.method, call.path) != ("POST", "/_sandbox/settings"):
            return super().control(call)
        asked = call.json()
        with self.orca.changed:
            self.orca_says = asked.get("orca", self.orca_says)
            self.echo_says = asked.get("echo", self.echo_says)
            self.echo_seconds = asked.get("echo_seconds", self.echo_seconds)
            for name, fields in asked.get("pipelines", {}).items():
                self._set(name, fields)
            for region, names in asked.get("groups", {}).items():
                account, cluster, place = region.split("/")
                self.works.clouds.groups[(account, cluster, place)] = servers(names)
            self._index()
            self.orca.let_go()
            self.orca.changed.notify_all()
        return json_answer({})

    def _set(self, name: str, fields: Mapping[str, Any] | None) -> None:
        if fields is None:
            self.pipelines.pop(name, None)
            return
        application, _, plain = name.partition("/")
        one = self.pipelines.setdefault(name, a_pipeline(application, plain))
        for field, value in fields.items():
            setattr(one, field, value)

    def answer(self, call: Call) -> Answer:
        """Answer one request; every answer tells Gate's clock."""
        try:
            answer = self._answer(call)
        except Refusal as refusal:
            answer = refusal.answer
        return answer

    def _answer(self, call: Call) -> Answer:
        parts = [unquote(part) for part in call.path.strip("/").split("/")]
        try:
            user = caller(call, self.accounts)
        except Unknown as error:
            raise Refusal(json_answer(words.error(401, "Unauthorized", "Unauthorized", call.path), 401)) from error
        if parts == ["auth", "user"]:
            return json_answer({"email": user, "username": user, "roles": self.orca.roles(user)}) if user else EMPTY
        if parts == ["health"]:
            return json_answer({"status": "UP"})
        if not user:
            raise Refusal(Answer(302, headers={"Location": f"{call.origin}/login"}))
        request = Request(call, parts, user)
        for (method, *shape), work in self._routes().items():
            if method == call.method and _fits(shape, parts):
                return work(request)
        raise request.refuse(404, "No message available")

    def _routes(self) -> Mapping[tuple[str, ...], Callable[[Request], Answer]]:
        return {
            ("GET", "applications"): self._applications,
            ("GET", "applications", "*"): self._application,
            ("GET", "applications", "*", "pipelineConfigs"): self._configs,
            ("GET", "applications", "*", "pipelineConfigs", "*"): self._config,
            ("GET", "applications", "*", "executions", "search"): self._search,
            ("GET", "applications", "*", "tasks"): self._tasks,
            ("GET", "applications", "*", "serverGroupManagers"): partial(managers, self.works.clouds),
            ("GET", "applications", "*", "serverGroups"): partial(groups, self.works.clouds),
            ("GET", "applications", "*", "clusters", "*", "*", "*", "*", "serverGroups", "target", "*"): partial(
                target, self.works.clouds
            ),
            ("GET", "manifests", "*", "*", "*"): partial(manifest, self.works.clouds),
            ("GET", "executions"): self._executions,
            ("GET", "executions", "failedStages"): self._failed_stages,
            ("POST", "pipelines", "v2", "*", "*"): self._trigger_by_echo,
            ("POST", "pipelines", "*", "*"): self._trigger,
            ("GET", "pipelines", "*"): self._execution,
            ("PUT", "pipelines", "*", "cancel"): self._cancel,
            ("PUT", "pipelines", "*", "pause"): self._pause,
            ("PUT", "pipelines", "*", "resume"): self._resume,
            ("PATCH", "pipelines", "*", "stages", "*"): self._patch,
            ("POST", "tasks"): self._operate,
            ("GET", "tasks", "*"): self._task,
            ("PUT", "tasks", "*", "cancel"): self._cancel_task,
        }

    def _demand(self, request: Request, right: str, application: str) -> None:
        if right not in self.accounts[request.user]["rights"]:
            raise request.refuse(403, f"Access denied to application {application} - required authorization: {right}")

    def _of(self, application: str) -> list[Pipeline]:
        return [one for one in self.pipelines.values() if one.application == application]

    def _applications(self, _request: Request) -> Answer:
        names = sorted({one.application for one in self.pipelines.values()})
        return json_answer(
            [{"name": name, "email": "bank@example.org", "cloudProviders": "kubernetes"} for name in names]
        )

    def _application(self, request: Request) -> Answer:
        name = self._known_application(request)
        return json_answer({"name": name, "attributes": {"name": name}, "clusters": {}})

    def _known_application(self, request: Request) -> str:
        name = request.parts[1]
        if not self._of(name):
            raise request.refuse(404, f"Application not found (id: {name})")
        return name

    def _configs(self, request: Request) -> Answer:
        return json_answer([words.config(one) for one in self._of(request.parts[1])])

    def _config(self, request: Request) -> Answer:
        application, name = request.parts[1], request.parts[3]
        found = next((one for one in self._of(application) if one.name == name), None)
        if found is None:
            raise request.refuse(404, f"Pipeline config (id: {name}) not found for Application (id: {application})")
        return json_answer(words.config(found))

    def _asked_for(self, request: Request, application: str, name: str) -> Pipeline | None:
        """Return a pipeline as the older trigger finds it: by name, else by an id in any application."""
        there = next((one for one in self._of(application) if one.name == name), None)
        return there or self.orca.pipelines.get(name)

    def _trigger(self, request: Request) -> Answer:
        application, name = request.parts[1:]
        pipeline = self._asked_for(request, application, name)
        if pipeline is None:
            raise request.refuse(404, f"Pipeline configuration not found (id: {name})")
        self._demand(request, "EXECUTE", pipeline.application)
        trigger = self._given(request.call.json(), pipeline, request.user)
        for one in pipeline.parameters:
            if one.get("required") and not one.get("default") and one["name"] not in trigger["parameters"]:
                raise request.refuse(400, f"Required parameter {one['name']} is missing")
        self._through_orca(request)
        try:
            made = self.orca.orchestrate(pipeline, trigger, request.user)
        except Disabled as error:
            raise request.refuse(400, str(error)) from error
        return json_answer({"ref": f"/pipelines/{made.id}"}, 202)

    def _trigger_by_echo(self, request: Request) -> Answer:
        """Take the event; who it starts, and whether anybody, is found out later and told to nobody."""
        application, name = request.parts[2:]
        self._demand(request, "EXECUTE", application)
        asked = {field: value for field, value in request.call.json().items() if field in TRIGGER}
        event, wanted = str(uuid.uuid4()), ulid()
        answer = json_answer({"eventId": event, "ref": f"/pipelines/{wanted}"}, 202)
        if self.echo_says != "ok":
            return answer

        def arrive() -> None:
            pipeline = next((one for one in self._of(application) if name in (one.name, one.id)), None)
            if pipeline is None or pipeline.disabled or self.closing.is_set():
                return
            trigger = self._given({**asked, "eventId": event, "user": request.user}, pipeline, request.user)
            self.orca.orchestrate(pipeline, trigger, request.user, wanted)

        timer = Timer(self.echo_seconds / self.speed, arrive)
        timer.daemon = True
        timer.start()
        return answer

    def _given(self, asked: Json, pipeline: Pipeline, user: str) -> Json:
        """Return the trigger of an execution: what was asked, with the defaults of the pipeline."""
        defaults = {one["name"]: one["default"] for one in pipeline.parameters if one.get("default")}
        nothing: Json = {"artifacts": [], "notifications": [], "resolvedExpectedArtifacts": []}
        flags = {"rebake": False, "dryRun": False, "strategy": False}
        given = {**nothing, **flags, "type": "manual", "user": user, **asked}
        return {**given, "parameters": {**defaults, **(asked.get("parameters") or {})}}

    def _through_orca(self, request: Request) -> None:
        if self.orca_says != "ok":
            raise request.refuse(403, "Access is denied")

    def _execution(self, request: Request) -> Answer:
        if self.orca_says != "ok":
            return EMPTY
        return json_answer(words.execution(self._found(request, "PIPELINE")))

    def _found(self, request: Request, kind: str) -> Execution:
        one = self.orca.executions.get(request.parts[1])
        if one is None or one.kind != kind:
            raise request.refuse(
                404, f"{'Pipeline' if kind == 'PIPELINE' else 'Task'} not found (id: {request.parts[1]})"
            )
        return one

    def _executions(self, request: Request) -> Answer:
        ids, configs = (request.call.first(name) for name in ("executionIds", "pipelineConfigIds"))
        self._through_orca(request)
        if ids and configs:
            raise request.refuse(400, "Only pipelineConfigIds OR executionIds can be specified")
        with self.orca.changed:
            if ids:
                found = [self.orca.executions[one] for one in ids.split(",") if one in self.orca.executions]
                return self._list(request, [one for one in found if one.kind == "PIPELINE"])
            limit = int(request.call.first("limit", "1"))
            wanted = configs.split(",") if configs else []
            of = [[one for one in self.orca.of("PIPELINE") if one.config_id == config] for config in wanted]
            newest = [one for each in of for one in each[:limit]]
            return self._list(request, sorted(newest, key=lambda one: one.started or 0))

    def _list(self, request: Request, found: Iterable[Execution]) -> Answer:
        expand = request.call.first("expand", "true") != "false"
        return json_answer([words.execution(one, expand=expand) for one in found])

    def _search(self, request: Request) -> Answer:
        """Search the executions of the pipelines that the application has **now**, by their names of now."""
        call, name = request.call, request.call.first("pipelineName")
        self._through_orca(request)
        ids = {one.id for one in self._of(request.parts[1]) if name in ("", one.name)}
        types, start = call.first("triggerTypes", "*").split(","), int(call.first("triggerTimeStartBoundary", "0"))
        wanted = json.loads(base64.b64decode(call.first("trigger"), validate=True)) if call.first("trigger") else {}
        if event := call.first("eventId"):
            wanted["eventId"] = event
        with self.orca.changed:
            found = [
                one
                for one in self.orca.of("PIPELINE")
                if one.config_id in ids
                and one.built * 1000 >= start
                and ("*" in types or one.trigger.get("type") in types)
                and words.matches(one.trigger, wanted)
            ]
            expand = call.first("expand", "false") == "true"
            return json_answer([words.execution(one, expand=expand) for one in found[: int(call.first("size", "10"))]])

    def _failed_stages(self, request: Request) -> Answer:
        self._through_orca(request)
        one = self.orca.executions.get(request.call.first("executionId"))
        return json_answer([words.stage(stage) for stage in one.stages if stage.status == "TERMINAL"] if one else [])

    def _steered(self, request: Request, kind: str = "PIPELINE") -> Execution:
        one = self._found(request, kind)
        self._demand(request, "EXECUTE", one.application)
        self._through_orca(request)
        return one

    def _cancel(self, request: Request) -> Answer:
        self.orca.cancel(self._steered(request), request.user, request.call.first("reason"))
        return EMPTY

    def _cancel_task(self, request: Request) -> Answer:
        self.orca.cancel(self._steered(request, "ORCHESTRATION"), request.user, "")
        return EMPTY

    def _pause(self, request: Request) -> Answer:
        if not self.orca.pause(self._steered(request), request.user):
            raise request.refuse(400, "Unable to pause pipeline (current status is not RUNNING)")
        return EMPTY

    def _resume(self, request: Request) -> Answer:
        if not self.orca.resume(self._steered(request), request.user):
            raise request.refuse(400, "Unable to resume pipeline (current status is not PAUSED)")
        return EMPTY

    def _patch(self, request: Request) -> Answer:
        one = self._steered(request)
        stage = next((each for each in one.stages if each.id == request.parts[3]), None)
        if stage is None:
            raise request.refuse(404, f"Stage not found (id: {request.parts[3]})")
        self.orca.patch(one, stage, request.call.json(), request.user)
        return json_answer(words.execution(one))

    def _operate(self, request: Request) -> Answer:
        asked = request.call.json()
        self._demand(request, "WRITE", asked["application"])
        self._through_orca(request)
        trigger = {"type": "manual", "user": request.user, **(asked.get("trigger") or {})}
        made = self.orca.operate(
            asked["application"], asked.get("description", ""), asked["job"], trigger, request.user
        )
        return json_answer({"ref": f"/tasks/{made.id}"})

    def _task(self, request: Request) -> Answer:
        self._through_orca(request)
        return json_answer(words.task(self._found(request, "ORCHESTRATION")))

    def _tasks(self, request: Request) -> Answer:
        self._through_orca(request)
        with self.orca.changed:
            found = [one for one in self.orca.of("ORCHESTRATION") if one.application == request.parts[1]]
            return json_answer([words.task(one) for one in found[: int(request.call.first("limit", "3500"))]])


def _fits(shape: list[str], parts: list[str]) -> bool:
    return len(shape) == len(parts) and all(wanted in ("*", given) for wanted, given in zip(shape, parts, strict=True))
