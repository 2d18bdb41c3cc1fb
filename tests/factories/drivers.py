"""Argo Rollouts and Flagger as far as a release meets them: small controllers that look at the cluster all the time.

What each does at a turn is from its source (argoproj/argo-rollouts, rollout/canary.go, pause.go and trafficrouting.go;
fluxcd/flagger, pkg/controller/scheduler.go, webhook.go and pkg/canary/status.go). A version is told by the label of the
Deployment that a job deploys to; what serves for stable is the other one.
"""

import base64
import contextlib
import http.client
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tests.factories.shifts import RunningCluster

NAMESPACE = "bank-production"
TURN_SECONDS = 0.03
YES = 202


@dataclass
class Controller:
    """What drives the route of one service, turn by turn."""

    cluster: RunningCluster
    service: str = "ledgerwriter"
    told: list[str] = field(default_factory=list)
    has_pods: bool = True  # whether the pods of the new version live
    notices: bool = True  # whether it looks at what was deployed
    plural = ""
    manager = ""
    seen = ""

    @property
    def object(self) -> dict[str, Any]:
        """Return the object that people ask."""
        return self._of(self.plural, self.service)

    @property
    def deployed(self) -> str:
        """Return the version that a job deployed last, as far as it was noticed."""
        if self.notices:
            found = self._of("deployments", f"{self.service}-canary")
            self.seen = str(found["metadata"]["labels"].get("version", STANDS))
        return self.seen

    @property
    def share(self) -> int:
        """Return how much of the traffic the new version gets, by the route."""
        return self.cluster.weights(self.service)["canary"]

    def turn(self) -> None:
        """Look once, and do what follows."""
        raise NotImplementedError

    def route(self, canary: int) -> None:
        """Set the weights, as controllers do: past everybody."""
        if self.share != canary:
            self.cluster.edit(100 - canary, canary, manager=self.manager, service=self.service)

    def promote(self) -> None:
        """Let the stable side run what was deployed."""
        patch = [
            {"op": "add", "path": path, "value": self.deployed}
            for path in ("/metadata/labels/version", "/spec/template/metadata/labels/version")
        ]
        self._edit("deployments", f"{self.service}-stable", patch)

    def say(self, **status: Any) -> None:
        """Write the status, as far as it changed."""
        there = self.object["status"]
        patch = [
            {"op": "add", "path": f"/status/{name}", "value": value}
            for name, value in status.items()
            if there.get(name) != value
        ]
        if patch:
            self._edit(self.plural, self.service, patch, subresource="status")

    def spec(self, **changed: Any) -> None:
        """Do what a person does to the object."""
        patch = [{"op": "add", "path": f"/spec/{name}", "value": value} for name, value in changed.items()]
        self._edit(self.plural, self.service, patch, manager="kubectl-edit")

    def _of(self, plural: str, name: str) -> dict[str, Any]:
        kinds = {"rollouts": "Rollout", "canaries": "Canary", "deployments": "Deployment"}
        place = (kinds[plural], NAMESPACE, name)
        for one in self.cluster.cluster.state()["objects"]:
            meta = one["metadata"]
            if (one["kind"], meta.get("namespace"), meta["name"]) == place:
                return dict(one)
        raise LookupError(place)

    def _edit(self, plural: str, name: str, patch: list[dict[str, Any]], **how: str) -> None:
        how.setdefault("manager", self.manager)
        self.cluster.control("edit", kind=plural, namespace=NAMESPACE, name=name, patch=patch, **how)


STANDS = "v0.6.10"  # what the stand-in of the cluster runs everywhere
TEN = ({"setWeight": 0}, {"pause": {}}, {"setWeight": 10}, {"pause": {}})


class Argo(Controller):
    """The controller of Argo Rollouts."""

    plural, manager = "rollouts", "rollouts-controller"

    def begin(self, *steps: dict[str, Any]) -> "Argo":
        """Put a Rollout there that drives the service's route."""
        routing = {"istio": {"virtualService": {"name": self.service}}}
        canary = {"steps": list(steps or TEN), "trafficRouting": routing}
        self.cluster.control(
            "edit",
            create={
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "Rollout",
                "metadata": {"name": self.service, "namespace": NAMESPACE, "uid": f"rollout-{self.service}"},
                "spec": {
                    "strategy": {"canary": canary},
                    "workloadRef": {"name": f"{self.service}-canary"},
                    "progressDeadlineSeconds": 40,
                },
                "status": {"phase": "Healthy", "stableRS": STANDS, "currentPodHash": STANDS, "currentStepIndex": 0},
            },
        )
        return self

    def turn(self) -> None:
        """Look once: a new version begins, a step is taken, or what was asked for is done."""
        found = self.object
        status, deployed = found["status"], self.deployed
        seen = {"observedGeneration": str(found["metadata"]["generation"])}
        if deployed != status["currentPodHash"]:
            begun = {"currentPodHash": deployed, "currentStepIndex": 0, "abort": False, "promoteFull": False}
            self.say(**begun, **seen, pauseConditions=None, controllerPause=False, phase="Progressing")
        elif deployed == status["stableRS"]:
            self._stand(0, phase="Healthy", pauseConditions=None, controllerPause=False, **seen)
        elif status.get("abort"):
            self._stand(0, phase="Degraded", pauseConditions=None, controllerPause=False, **seen)
        else:
            self._step(found, **seen)

    def _step(self, found: dict[str, Any], **seen: Any) -> None:
        status, steps = found["status"], found["spec"]["strategy"]["canary"]["steps"]
        index = status["currentStepIndex"]
        if status.get("promoteFull") or index >= len(steps):
            self._stand(100, **seen)
            self.promote()
            self._stand(0, phase="Healthy", stableRS=status["currentPodHash"], promoteFull=False, **seen)
        elif "setWeight" in steps[index]:
            self._stand(steps[index]["setWeight"], currentStepIndex=index + 1, phase="Progressing", **seen)
        elif status.get("pauseConditions"):
            self.say(phase="Paused", **seen)
        elif status.get("controllerPause"):
            self.say(controllerPause=False, currentStepIndex=index + 1, phase="Progressing", **seen)
        else:
            since = {"reason": "CanaryPauseStep", "startTime": "2026-01-01T00:00:00Z"}
            self.say(pauseConditions=[since], controllerPause=True, phase="Paused", **seen)

    def _stand(self, canary: int, **status: Any) -> None:
        canary = canary if self.has_pods else 0
        self.route(canary)
        weights = {"canary": {"weight": canary}, "stable": {"weight": 100 - canary}}
        self.say(canary={"weights": weights}, **status)


@dataclass
class Flagger(Controller):
    """The controller of Flagger; it asks its hooks over HTTP."""

    url: str = ""
    token: str = ""
    plural, manager = "canaries", "flagger"

    def begin(self, **analysis: Any) -> "Flagger":
        """Put a Canary there that drives the service's route and asks GMUD."""
        place = f"http://gmud:{self.token}@{urlsplit(self.url).netloc}/api/v1/flagger"
        metadata = {"service": self.service, "environment": "production"}
        kinds = {"rollback": "rollback", "confirm-traffic-increase": "confirm", "confirm-promotion": "confirm"}
        hooks = [
            {"name": kind, "type": kind, "url": f"{place}/{end}", "metadata": metadata} for kind, end in kinds.items()
        ]
        self.cluster.control(
            "edit",
            create={
                "apiVersion": "flagger.app/v1beta1",
                "kind": "Canary",
                "metadata": {"name": self.service, "namespace": NAMESPACE, "uid": f"canary-{self.service}"},
                "spec": {
                    "provider": "istio",
                    "service": {"port": 8080},
                    "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": self.service},
                    "progressDeadlineSeconds": 60,
                    "analysis": {
                        "interval": "10s",
                        "maxWeight": 20,
                        "stepWeight": 10,
                        "threshold": 2,
                        "webhooks": hooks,
                        **analysis,
                    },
                },
                "status": {
                    "phase": "Succeeded",
                    "canaryWeight": 0,
                    "lastAppliedSpec": STANDS,
                    "lastPromotedSpec": STANDS,
                },
            },
        )
        return self

    def turn(self) -> None:
        """Look once: a new revision begins, a hook is asked, a step is taken."""
        found = self.object
        spec, status, deployed = found["spec"], found["status"], self.deployed
        phase = status["phase"]
        running = {"Progressing", "Waiting", "WaitingPromotion"}
        if spec.get("suspend"):
            return
        if phase not in running | {"Promoting", "Finalising"}:
            if deployed == status["lastPromotedSpec"]:
                self.say(lastAppliedSpec=deployed)  # what was put back by hand is nothing new to it
            elif deployed != status["lastAppliedSpec"]:
                self.say(phase="Progressing", canaryWeight=0, lastAppliedSpec=deployed)
        elif phase in running and deployed != status["lastAppliedSpec"]:
            self.route(0)
            self.say(phase="Progressing", canaryWeight=0, lastAppliedSpec=deployed)
        elif spec.get("skipAnalysis"):
            self.route(0)
            self.promote()
            self.say(phase="Succeeded", canaryWeight=0, lastPromotedSpec=status["lastAppliedSpec"])
        elif phase in running and self._asks("rollback", phase):
            self.route(0)
            self.say(phase="Failed", canaryWeight=0)
        elif phase == "Promoting":
            self.route(0)
            self.say(phase="Finalising", canaryWeight=0)
        elif phase == "Finalising":
            self.say(phase="Succeeded", canaryWeight=0, lastPromotedSpec=status["lastAppliedSpec"])
        else:
            self._step(spec["analysis"], phase)

    def _step(self, analysis: dict[str, Any], phase: str) -> None:
        share = self.share
        if phase != "WaitingPromotion" and not self._asks("confirm-traffic-increase", phase):
            return
        if share < analysis["maxWeight"]:
            self.route(share + analysis["stepWeight"])
            self.say(canaryWeight=share + analysis["stepWeight"])
        elif self._asks("confirm-promotion", "WaitingPromotion"):
            self.promote()
            self.say(phase="Promoting", canaryWeight=0)
        else:
            self.say(phase="WaitingPromotion", canaryWeight=0)

    def _asks(self, kind: str, phase: str) -> bool:
        """Ask every hook of a kind, and take up to 202 as yes."""
        hooks = [one for one in self.object["spec"]["analysis"]["webhooks"] if one["type"] == kind]
        said = [self._answer(one, phase) <= YES for one in hooks]
        return any(said) if kind == "rollback" else all(said)

    def _answer(self, hook: dict[str, Any], phase: str) -> int:
        where = urlsplit(hook["url"])
        shown = base64.b64encode(f"{where.username}:{where.password}".encode()).decode()
        body = {"name": self.service, "namespace": NAMESPACE, "phase": phase, "metadata": hook["metadata"]}
        headers = {"Authorization": f"Basic {shown}", "Content-Type": "application/json"}
        connection = http.client.HTTPConnection(str(where.hostname), where.port, timeout=10)
        try:
            connection.request("POST", where.path, json.dumps(body), headers)
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException):
            status = 500
        finally:
            connection.close()
        self.told.append(f"{hook['type']} {self.share}: {status}")
        return status


@contextlib.contextmanager
def at_work(controller: Controller) -> Iterator[None]:
    """Let a controller work in a thread of its own, as it does beside everything else; its trouble is the test's."""
    over, trouble = threading.Event(), list[Exception]()

    def work() -> None:
        while not over.wait(TURN_SECONDS):
            try:
                controller.turn()
            except Exception as error:  # noqa: BLE001 - told to the test below
                trouble.append(error)
                return

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    assert trouble == []
