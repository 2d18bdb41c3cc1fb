"""A route says which control plane of its connection serves it, and is read, written and checked there."""

import copy
from datetime import datetime

import pytest

from gmud.sandbox.kubernetes.api import ALL, READ, Identity
from releases.audit.actor import system
from releases.operations.states import StepState
from releases.setup import checks
from releases.traffic import rules, services
from releases.traffic.ports import NotEditable, System
from releases.traffic.providers import PROVIDERS, SERVES, system_of
from tests.contract.traffic.stages.cluster import backends
from tests.factories.shifts import a_route, begin, run, running_cluster
from tests.factories.traffic import FULL, recording

pytestmark = pytest.mark.django_db(transaction=True)
SIDES = {"stable": "bb-v1", "canary": "bb-v2"}


@pytest.fixture
def mesh():
    with running_cluster() as running:
        for name in ("bb", "bb-v1", "bb-v2"):
            for one in backends("shop", name):
                running.control("edit", create=one)
        running.control("edit", create=recorded())
        yield running


def recorded():
    return copy.deepcopy(recording("linkerd-httproute-create-201")["response"]["body"])


def linkerds(mesh, now: datetime, **more: str):
    where = {"system": "linkerd", "namespace": "shop", "name": "backend-router", **more}
    return a_route(mesh.url, now, locator=where, **SIDES)


def test_every_control_plane_is_served_by_one_kind_of_connection():
    served = [one for systems in SERVES.values() for one in systems]
    assert sorted(served) == sorted(System) == sorted(PROVIDERS)


def test_a_route_of_linkerd_is_shifted_through_linkerd(mesh, now):
    route = linkerds(mesh, now)
    _operation, step = run(begin(route, {"stable": 50, "canary": 50}, now), now)
    assert step.state == StepState.CONFIRMED
    stored = mesh.cluster.store.objects["httproutes.policy.linkerd.io", "shop", "backend-router"]
    assert [one["weight"] for one in stored["spec"]["rules"][0]["backendRefs"]] == [50, 50]


@pytest.mark.parametrize("named", ["kong", "consul"])
def test_a_control_plane_that_the_connection_does_not_lead_to_is_refused_with_those_it_does(mesh, now, named):
    route = linkerds(mesh, now, system=named)
    with pytest.raises(NotEditable, match="istio, linkerd, gateway"):
        system_of(route)
    with pytest.raises(NotEditable, match=named):
        services.look(route_id=route.id, now=now)


def test_an_object_with_one_route_needs_no_name_and_one_with_several_does(mesh, now):
    route = linkerds(mesh, now)
    assert services.look(route_id=route.id, now=now).weights == {"stable": 90, "canary": 10}
    again = recorded()
    again["spec"]["rules"].append({**again["spec"]["rules"][0], "matches": [{"path": {"value": "/admin"}}]})
    patch = [{"op": "replace", "path": "/spec/rules", "value": again["spec"]["rules"]}]
    mesh.control("edit", kind="httproutes.policy.linkerd.io", namespace="shop", name="backend-router", patch=patch)
    with pytest.raises(NotEditable, match="2 routes stand in backend-router"):
        services.look(route_id=route.id, now=now)


def test_a_route_without_a_name_is_found_by_its_place_and_its_shape(mesh, now):
    shape = rules.shape(recorded()["spec"]["rules"][0], rules.GATEWAY)
    route = linkerds(mesh, now, index="0", shape=shape)
    assert services.look(route_id=route.id, now=now).weights == {"stable": 90, "canary": 10}


@pytest.mark.parametrize(("verbs", "lacks"), [(ALL, False), (READ, True)], ids=["may write", "may read"])
def test_the_test_of_a_cluster_asks_for_the_right_to_change_the_very_object(mesh, now, verbs, lacks):
    route = linkerds(mesh, now)
    mesh.cluster.identities = {FULL: Identity("system:serviceaccount:gmud:tests", verbs)}
    found = checks.check(actor=system("tests"), connection_id=route.connection.id, now=now)
    begins = "In shop the token may not: patch httproutes.policy.linkerd.io"
    assert [str(line).startswith(begins) for line in found.lines] == ([True] if lacks else [])
    asked = [one["body"].replace(" ", "") for one in mesh.cluster.log if "selfsubjectaccessreviews" in one["path"]]
    assert any('"group":"policy.linkerd.io"' in one and '"name":"backend-router"' in one for one in asked)
