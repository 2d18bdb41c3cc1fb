"""The API server's face: paths, tokens, verbs, and the controls that play other people."""

import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gmud.sandbox.keeping import Memory
from gmud.sandbox.kubernetes import failures, patching, resources
from gmud.sandbox.kubernetes.failures import Failure
from gmud.sandbox.kubernetes.requests import VERBS, Request
from gmud.sandbox.kubernetes.resources import Resource
from gmud.sandbox.kubernetes.schemas import SCHEMAS
from gmud.sandbox.kubernetes.seed import bank_of_anthos
from gmud.sandbox.kubernetes.splits import splits
from gmud.sandbox.kubernetes.store import Object, Store, Write
from gmud.sandbox.kubernetes.webhook import Webhook
from gmud.sandbox.server import Answer, Call, Sandbox, json_answer

READ = frozenset({"get", "list"})
ALL = READ | {"create", "update", "patch", "delete"}
_OBJECTS = re.compile(
    r"^/(?:api|apis/(?P<group>[^/]+))/(?P<version>v[^/]+)/(?:namespaces/(?P<namespace>[^/]+)/)?(?P<plural>[^/]+)"
    r"(?:/(?P<name>[^/]+)(?:/(?P<sub>[^/]+))?)?$"
)


@dataclass(frozen=True)
class Identity:
    """Who a token belongs to: the user, the verbs, and the only object names it covers (``None``: all)."""

    user: str
    verbs: frozenset[str]
    names: frozenset[str] | None = None

    def may(self, verb: str, name: str) -> bool:
        """Say whether the role covers this; a role limited by names never covers a list."""
        return verb in self.verbs and (self.names is None or name in self.names)


IDENTITIES = {
    "sandbox-full": Identity("system:serviceaccount:gmud:releaser", ALL),
    "sandbox-read": Identity("system:serviceaccount:gmud:reader", READ),
    "sandbox-nobody": Identity("system:serviceaccount:gmud:nobody", frozenset()),
}


@dataclass
class Rival:
    """Another writer who is always faster: ``times`` -1 is for ever; it touches a label or our weights."""

    times: int = 0
    what: str = "touch"
    turn: int = 0


class Cluster(Sandbox):
    """The stand-in; ``manifests`` default to Bank of Anthos, and give way to what ``memory`` holds.

    Objects outlive a restart; a planted rival or a broken webhook does not. What is ``absent`` is a group that is not
    installed.
    """

    title = "kubernetes"

    def __init__(
        self,
        manifests: Iterable[Object] | None = None,
        identities: Mapping[str, Identity] = IDENTITIES,
        memory: Memory | None = None,
    ) -> None:
        """Load the objects: those of the last time, else those of the beginning."""
        super().__init__()
        self.manifests = list(bank_of_anthos() if manifests is None else manifests)
        self.identities = identities
        self.memory = memory or Memory()
        self.webhook = Webhook()
        self.rival = Rival()
        self.absent: set[str] = set()
        self.store = self.memory.recall(Store.recalled) or self._beginning()
        self._keep()

    def _beginning(self) -> Store:
        store = Store()
        store.load(self.manifests)
        return store

    def reset(self) -> None:
        """Go back to the objects of the beginning."""
        self.store = self._beginning()
        self.webhook = Webhook()
        self.rival = Rival()
        self._keep()

    def _keep(self) -> None:
        """Write down what changed, before anybody is told that it did."""
        with self.lock:
            if self.store.is_changed:
                self.memory.keep(self.store.told())
                self.store.is_changed = False

    def answer(self, call: Call) -> Answer:
        """Answer one request; every answer carries an Audit-Id."""
        try:
            answer = self._route(call)
        except Failure as failure:
            answer = failure.answer
        self._keep()
        return Answer(answer.status, answer.body, {**answer.headers, "Audit-Id": str(uuid.uuid4())})

    def _route(self, call: Call) -> Answer:
        token = call.headers.get("authorization", "").removeprefix("Bearer ")
        identity = self.identities.get(token)
        if identity is None:
            raise failures.unauthorized()
        if "impersonate-user" in call.headers and identity.verbs == ALL:
            identity = Identity(call.headers["impersonate-user"], frozenset())
        if call.path == "/version":
            return json_answer(resources.VERSION)
        if call.path == "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews":
            return _access_review(call, identity)
        if self.absent.intersection(call.path.split("/")[2:3]):
            raise failures.page_not_found()
        discovered = _discovery(call.path)
        if discovered is not None:
            return json_answer(discovered)
        match = _OBJECTS.match(call.path)
        place = match.groupdict(default="") if match else {}
        found = resources.find(place["group"], place["version"], place["plural"]) if match else None
        if found is None:
            raise failures.page_not_found()
        verb = _verb(call.method, place["name"])
        if not identity.may(verb, place["name"]):
            where = (place["namespace"], place["name"], place["sub"])
            raise failures.forbidden(identity.user, verb, found.plural, found.group, *where)
        with self.lock:
            request = Request(
                call=call,
                store=self.store,
                resource=found,
                version=place["version"],
                namespace=place["namespace"],
                name=place["name"],
                sub=place["sub"],
                review=self._review,
                outrun=self.outrun,
            )
            return VERBS[verb](request)

    def _review(self, spec: dict[str, Any], limit: float) -> list[str]:
        return self.webhook.review(spec, limit, self.closing)

    def state(self) -> Any:
        """Return the objects and, in few words, which side of which route gets how much, and what runs there."""
        with self.lock:
            return {
                "traffic": splits(self.store.objects),
                "objects": list(self.store.objects.values()),
                "webhook": vars(self.webhook),
                "rival": vars(self.rival),
            }

    def control(self, call: Call) -> Answer:
        """Answer the common controls, and those that play another writer or a broken webhook."""
        with self.lock:
            match call.method, call.path:
                case "POST", "/_sandbox/edit":
                    try:
                        answer = self._edit(call.json())
                    except Failure as failure:
                        answer = failure.answer
                    self._keep()
                    return answer
                case "POST", "/_sandbox/conflict":
                    self.rival = Rival(**call.json())
                    return json_answer({})
                case "POST", "/_sandbox/webhook":
                    self.webhook = Webhook(**call.json())
                    return json_answer({})
        return super().control(call)

    def _edit(self, asked: Mapping[str, Any]) -> Answer:
        """Do what another writer does, past every token: create, patch or delete an object."""
        if "create" in asked:
            self.store.load([asked["create"]])
            return json_answer(asked["create"], 201)
        resource = resources.by_plural(asked["kind"])
        there = self.store.get(resource, asked["namespace"], asked["name"])
        if asked.get("delete"):
            return json_answer(self.store.delete(resource, there))
        sub = asked.get("subresource", "")
        wanted = patching.json_patch(there, asked["patch"])
        return json_answer(
            self.store.update(resource, there, wanted, Write(asked.get("manager", "someone-else"), subresource=sub))
        )

    def outrun(self, resource: Resource, there: Object) -> Object:
        """Let the rival write first, when one is planted."""
        rival = self.rival
        if resource.key not in SCHEMAS or rival.times == 0:
            return there
        rival.times -= rival.times > 0
        rival.turn += 1
        wanted = patching.merge_patch(there, {"metadata": {"annotations": {"rival": str(rival.turn)}}})
        if rival.what == "weights":
            shared = next(http for http in wanted["spec"]["http"] if len(http.get("route", [])) > 1)
            shared["route"][0]["weight"] = 50 + rival.turn
        return self.store.update(resource, there, wanted, Write("rival"))


def _verb(method: str, name: str) -> str:
    verbs = {"GET": "get" if name else "list", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
    if method not in verbs:
        raise failures.method_not_allowed()
    return verbs[method]


def _discovery(path: str) -> Any:
    parts = path.strip("/").split("/")
    match parts:
        case ["apis", group]:
            return resources.group_document(group)
        case ["apis", group, version]:
            return resources.resource_list(group, version)
        case ["api", version]:
            return resources.resource_list("", version)
    return None


def _access_review(call: Call, identity: Identity) -> Answer:
    spec = call.json()["spec"]
    asked = spec["resourceAttributes"]
    allowed = identity.may(asked["verb"], asked.get("name", ""))
    review: Object = {"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "metadata": {}}
    return json_answer({**review, "spec": spec, "status": {"allowed": allowed}}, 201)
