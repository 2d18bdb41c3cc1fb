"""What Clouddriver sees and does: rollouts of Deployments in the sandbox's cluster, and server groups of other clouds.

From source: undo takes ``numRevisionsBack`` before ``revision`` and only the pod template; an old revision that comes
back gets a new number; ``rollbackCluster`` passes over a region with fewer than two server groups or none enabled, and
succeeds. Inferred: an undo to a template that stands already changes nothing, and succeeds.

What a real API server keeps as ReplicaSets is kept here: the sandbox's cluster has none. Every revision that this
process saw is one; what stood there before its first look is revision 1.
"""

import copy
import hashlib
import json
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import quote

from gmud.sandbox.spinnaker.calls import NoAnswer, speak
from gmud.sandbox.spinnaker.models import Json, ServerGroup

MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}
REVISION = "deployment.kubernetes.io/revision"
Place = tuple[str, str]
"""A namespace and the name of a Deployment."""
Region = tuple[str, str, str]
"""An account, a cluster, a region."""


class Refused(Exception):
    """The operation fails, with what Clouddriver says."""


class Absent(Exception):
    """There is no such thing."""


@dataclass
class Clouds:
    """One cluster behind ``account``, and server groups by region, oldest first."""

    cluster_url: str = ""
    cluster_token: str = ""
    account: str = "bank-k8s"
    images: str = "registry.example/bank-of-anthos"
    namespaces: Mapping[str, str] = field(
        default_factory=lambda: {"production": "bank-production", "staging": "bank-staging"}
    )
    revisions: dict[Place, dict[int, Json]] = field(default_factory=dict)
    groups: dict[Region, list[ServerGroup]] = field(default_factory=dict)
    lock: Any = field(default_factory=threading.RLock, repr=False)

    def deployment(self, place: Place) -> Json:
        """Return a Deployment as it stands, with its revision.

        :raises Absent: there is none
        :raises Refused: the cluster does not answer
        """
        found = self._cluster("GET", place)
        with self.lock:
            number = self._noted(place, found["spec"]["template"])
        found["metadata"].setdefault("annotations", {})[REVISION] = str(number)
        return found

    def history(self, place: Place) -> dict[int, Json]:
        """Return the pod templates of a Deployment by revision, the newest last."""
        self.deployment(place)
        with self.lock:
            return dict(sorted(self.revisions[place].items()))

    def deploy(self, place: Place, service: str, version: str, digest: str) -> None:
        """Bring a version there.

        :raises Refused: the cluster refuses
        """
        self.deployment(place)  # what stood there before is a revision to go back to
        labels = {"version": version}
        image = f"{self.images}/{service}:{version}@{digest}"
        template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": service, "image": image}]}}
        self.patch(place, {"metadata": {"labels": labels}, "spec": {"template": template}})

    def patch(self, place: Place, body: Json) -> None:
        """Change a Deployment.

        :raises Refused: the cluster refuses
        """
        self._cluster("PATCH", place, body)
        self.deployment(place)

    def undo(self, place: Place, job: Mapping[str, Any]) -> None:
        """Bring an earlier pod template back.

        :raises Refused: no revision is named, or there is none such
        """
        there = self.history(place)
        back, named = job.get("numRevisionsBack"), job.get("revision")
        if back is None and named is None:
            raise Refused(
                "undoRolloutManifestDescription.numRevisionsBack & undoRolloutManifestDescription.revision.empty"
            )
        if back is not None and int(back) >= len(there):
            raise Refused(f"There are {len(there)} revision(s) in total, cannot rollback {back}")
        number = sorted(there)[-1 - int(back)] if back is not None else int(str(named))
        if number not in there:
            raise Refused(f"Revision {number} does not exist for {place[1]}")
        if there[number] != there[max(there)]:
            version = there[number]["metadata"]["labels"].get("version", "")
            self.patch(place, {"metadata": {"labels": {"version": version}}, "spec": {"template": there[number]}})

    def target(self, region: Region, target: str, *, only_enabled: bool = False) -> ServerGroup:
        """Return the server group that a target names, of all or of those enabled.

        :raises Absent: there are too few, or the target is unknown
        """
        name = re.sub(r"_asg(_dynamic)?$", "", target.lower())
        known = [one for one in self.groups.get(region, ()) if one.enabled or not only_enabled]
        newest_first = sorted(known, key=lambda one: -one.created)
        at = {"current": 0, "newest": 0, "previous": 1, "ancestor": 1, "oldest": len(newest_first) - 1}.get(name)
        if at is None or not 0 <= at < len(newest_first):
            raise Absent(f"No server group found for target {target}")
        return newest_first[at]

    def group(self, name: str, region: str) -> ServerGroup:
        """Return a server group by its name.

        :raises Refused: there is none
        """
        for (_account, _cluster, there), groups in self.groups.items():
            for one in groups:
                if (one.name, there) == (name, region):
                    return one
        raise Refused(f"No server group {name} in {region}")

    def rollback(self, region: Region) -> Json | None:
        """Enable the newest other server group and disable the newest; ``None`` when this region is passed over."""
        newest_first = sorted(self.groups.get(region, ()), key=lambda one: -one.created)
        enabled = [one for one in newest_first if one.enabled]
        if len(newest_first) < 2 or not enabled:
            return None
        bad = enabled[0]
        good = next(one for one in newest_first if one is not bad)
        good.enabled, bad.enabled = True, False
        return {"rollbackServerGroupName": bad.name, "restoreServerGroupName": good.name}

    def managers(self) -> list[Json]:
        """Return every Deployment with its ReplicaSets, as ``serverGroupManagers`` tells them.

        :raises Refused: the cluster does not answer
        """
        for namespace in self.namespaces.values():
            for found in self._cluster("GET", (namespace, "")).get("items", []):
                with self.lock:
                    self._noted((namespace, found["metadata"]["name"]), found["spec"]["template"])
        with self.lock:
            places = {place: sorted(there) for place, there in self.revisions.items()}
        return [
            {
                "name": f"deployment {name}",
                "account": self.account,
                "namespace": namespace,
                "region": namespace,
                "serverGroups": [
                    {
                        "name": f"replicaSet {self.replica_set((namespace, name), number)}",
                        "account": self.account,
                        "namespace": namespace,
                        "region": namespace,
                        "moniker": {"sequence": number, "cluster": f"deployment {name}"},
                    }
                    for number in numbers
                ],
            }
            for (namespace, name), numbers in places.items()
        ]

    def replica_set(self, place: Place, number: int) -> str:
        """Return the name of the ReplicaSet that keeps a revision: the template decides, whatever its number."""
        text = json.dumps(self.revisions[place][number], sort_keys=True)
        return f"{place[1]}-{hashlib.sha256(text.encode()).hexdigest()[:9]}"

    def manifest(self, namespace: str, kind: str, name: str) -> Json:
        """Return a Deployment or one of its ReplicaSets.

        :raises Absent: there is none
        """
        if kind.lower() == "deployment":
            return self.deployment((namespace, name))
        for (there, deployment), templates in list(self.revisions.items()):
            for number, template in templates.items():
                if (there, self.replica_set((there, deployment), number)) == (namespace, name):
                    meta = {"name": name, "namespace": namespace, "annotations": {REVISION: str(number)}}
                    return {
                        "apiVersion": "apps/v1",
                        "kind": "ReplicaSet",
                        "metadata": meta,
                        "spec": {"template": template},
                    }
        raise Absent(f"Unable to find manifest {kind} {name}")

    def told(self) -> Json:
        """Return what outlives a restart."""
        with self.lock:
            return {
                "revisions": [
                    [*place, number, one] for place, all_ in self.revisions.items() for number, one in all_.items()
                ],
                "groups": [[*region, [asdict(one) for one in groups]] for region, groups in self.groups.items()],
            }

    def recall(self, kept: Json) -> None:
        """Read what :meth:`told` returned."""
        for namespace, name, number, template in kept["revisions"]:
            self.revisions.setdefault((namespace, name), {})[number] = template
        for account, cluster, region, groups in kept["groups"]:
            self.groups[(account, cluster, region)] = [ServerGroup(**one) for one in groups]

    def place_of(self, environment: str, service: str, slot: str) -> Place:
        """Return where a service's side stands in an environment."""
        return self.namespaces.get(environment, environment), f"{service}-{slot or 'stable'}"

    def _noted(self, place: Place, template: Json) -> int:
        """Return the revision of what stands there; one that is new, or came back, gets the next number."""
        there = self.revisions.setdefault(place, {})
        newest = max(there, default=0)
        if newest and there[newest] == template:
            return newest
        for number in [number for number, one in there.items() if one == template]:
            del there[number]
        there[newest + 1] = copy.deepcopy(template)
        return newest + 1

    def _cluster(self, method: str, place: Place, body: Json | None = None) -> Json:
        if not self.cluster_url:
            raise Refused("no cluster is configured")
        namespace, name = (quote(part, safe="") for part in place)
        url = f"{self.cluster_url.rstrip('/')}/apis/apps/v1/namespaces/{namespace}/deployments/{name}".rstrip("/")
        headers = {"Authorization": f"Bearer {self.cluster_token}", **(MERGE_PATCH if body is not None else {})}
        try:
            heard = speak(method, url, body, headers)
        except NoAnswer as error:
            raise Refused(str(error)) from error
        if heard.status == 404:
            raise Absent(f"Unable to find manifest deployment {place[1]}")
        if heard.status not in (200, 201):
            raise Refused(f"the cluster answered {heard.status}: {heard.text[:200]}")
        found: Json = heard.json()
        return found


def servers(names: list[Mapping[str, Any]]) -> list[ServerGroup]:
    """Return server groups as a control names them, the oldest first."""
    now = time.time()
    return [ServerGroup(**{"created": now - 3600 * (len(names) - number), **one}) for number, one in enumerate(names)]
