"""A route that Git or a chart holds: what becomes of a shift is told, somebody chooses, the shift keeps who did."""

from datetime import timedelta

import pytest
import yaml

from gmud.sandbox.kubernetes.patching import json_patch
from releases.audit import queries as audit
from releases.catalog import queries as catalog
from releases.changes.states import State
from releases.core.errors import NotPermitted, Refused, Sentence
from releases.operations import services as operations
from releases.operations.states import OperationState, StepState
from releases.rollout.outlook import outlooks
from releases.traffic import queries
from releases.traffic.models import OwnerChoice, ShiftEnd
from releases.traffic.services.choosing import choose, require_choices
from releases.traffic.services.looking import look
from releases.traffic.states import Choice
from tests.factories.accounts import SETUP
from tests.factories.changes import a_change, a_house
from tests.factories.shifts import a_choice, a_route, begin, run, running_cluster
from tests.factories.traffic import FULL

pytestmark = pytest.mark.django_db(transaction=True)
SOME, NONE = {"stable": 90, "canary": 10}, {"stable": 100, "canary": 0}
HELD_BY = {
    "Argo CD": ("annotations", "argocd.argoproj.io~1tracking-id", "self-heal puts 100/0 back in about 5 seconds"),
    "Flux": ("labels", "kustomize.toolkit.fluxcd.io~1name", "puts 100/0 back at its next interval"),
    "Helm": ("annotations", "meta.helm.sh~1release-name", "the next upgrade of the chart puts 100/0 back"),
}


@pytest.fixture
def mesh():
    with running_cluster() as running:
        yield running


def hold(mesh, owner="Argo CD", service="frontend"):
    part, mark, _said = HELD_BY[owner]
    patch = [{"op": "add", "path": f"/metadata/{part}", "value": {}}] if part == "annotations" else []
    patch.append({"op": "add", "path": f"/metadata/{part}/{mark}", "value": "bank"})
    where = {"kind": "virtualservices", "namespace": "bank-production", "name": service}
    mesh.control("edit", **where, manager="kubectl-edit", patch=patch)


def written(mesh):
    return [one for one in mesh.patches() if "virtualservices" in one["path"]]


@pytest.mark.parametrize("owner", sorted(HELD_BY))
def test_without_a_choice_a_shift_forward_waits_for_a_person_and_says_where_to_choose(mesh, now, owner):
    route = a_route(mesh.url, now)
    hold(mesh, owner)
    operation, step = run(begin(route, SOME, now), now)
    assert (operation.state, step.state) == (OperationState.NEEDS_HUMAN, StepState.NEEDS_HUMAN)
    said = str(Sentence.from_json(step.note))
    assert said.startswith(f"{owner} holds the route of frontend")
    assert "“Routes”" in said
    assert not written(mesh)

    a_choice(operation, route, now + timedelta(seconds=1), owner=owner)
    operations.retry_step(step_id=step.pk, actor=SETUP, now=now + timedelta(seconds=2))
    operation, step = run(operation, now + timedelta(seconds=2), looks=12)
    assert operation.state == OperationState.SUCCEEDED
    last = ShiftEnd.objects.order_by("turn").last()
    assert (last.choice["by"], last.choice["choice"], last.choice["owner"]) == ("Ana", "go_on", owner)
    assert ShiftEnd.objects.order_by("turn").first().choice is None
    told = [one.data for one in audit.story(f"change:{operation.subject}") if one.kind == "shift.ended"]
    assert told[-1]["choice"] == last.choice


def test_a_choice_for_another_owner_does_not_count(mesh, now):
    route = a_route(mesh.url, now)
    hold(mesh, "Flux")
    operation = begin(route, SOME, now)
    a_choice(operation, route, now, owner="Argo CD")
    _operation, step = run(operation, now)
    assert step.state == StepState.NEEDS_HUMAN
    assert not written(mesh)


def test_whoever_changes_it_in_git_is_waited_for_and_nothing_is_written(mesh, now):
    route = a_route(mesh.url, now)
    hold(mesh)
    operation = begin(route, SOME, now)
    a_choice(operation, route, now, Choice.GIT)
    operation, step = run(operation, now)
    assert step.state == StepState.APPLIED
    assert "waits until stable 90, canary 10" in str(Sentence.from_json(step.data["awaited"]))
    assert not written(mesh)

    mesh.edit(90, 10, manager="argocd-controller")
    operation, step = run(operation, now + timedelta(seconds=20), looks=12)
    assert operation.state == OperationState.SUCCEEDED
    assert not written(mesh)
    (shift,) = queries.ledger(route.id)
    assert ShiftEnd.objects.get(shift_id=shift.id).choice["choice"] == "git"


def test_whoever_chooses_otherwise_while_git_is_waited_for_has_it_written_here_by_the_next_try(mesh, now):
    route = a_route(mesh.url, now)
    hold(mesh)
    operation = begin(route, SOME, now)
    a_choice(operation, route, now, Choice.GIT)
    run(operation, now, looks=2)
    a_choice(operation, route, now + timedelta(seconds=6))
    operation, step = run(operation, now + timedelta(seconds=12))
    assert step.state == StepState.NEEDS_HUMAN
    assert "no longer to be changed in Git" in str(Sentence.from_json(step.note))
    assert not written(mesh)

    operations.retry_step(step_id=step.pk, actor=SETUP, now=now + timedelta(seconds=30))
    operation, _step = run(operation, now + timedelta(seconds=30), looks=12)
    assert operation.state == OperationState.SUCCEEDED
    assert len(written(mesh)) == 1


@pytest.mark.parametrize("how", [{"urgent": True}, {"literal": True}], ids=["a rollback", "a restore"])
def test_going_back_asks_nobody(mesh, now, how):
    route = a_route(mesh.url, now)
    hold(mesh)
    mesh.edit(60, 40)
    operation, _step = run(begin(route, NONE, now, **how), now, looks=12)
    assert operation.state == OperationState.SUCCEEDED
    assert mesh.weights() == NONE
    assert ShiftEnd.objects.get().choice is None


def test_a_rollback_passes_a_choice_to_leave_it_to_git(mesh, now):
    route = a_route(mesh.url, now)
    hold(mesh)
    mesh.edit(60, 40)
    operation = begin(route, NONE, now, urgent=True)
    a_choice(operation, route, now, Choice.GIT)
    operation, _step = run(operation, now)
    assert operation.state == OperationState.SUCCEEDED
    assert len(written(mesh)) == 1


class OnAChange:
    """A scheduled change whose route stands in the cluster."""

    def __init__(self, mesh, now):
        self.now, self.house = now, a_house(now, service="frontend")
        actor = SETUP
        from releases.catalog import services
        from releases.catalog.kinds import ConnectionKind

        edge = services.connect(
            actor=actor, name="mesh", kind=ConnectionKind.KUBERNETES, origin=mesh.url, secret=FULL, now=now
        )
        row = services.register_route(
            actor=actor,
            service_id=self.house.service.pk,
            environment_id=self.house.environment.pk,
            connection_id=edge.pk,
            locator={"namespace": "bank-production", "name": "frontend", "route": "primary"},
            stable="stable",
            canary="canary",
            now=now,
        )
        self.route = catalog.route(row.pk)
        look(route_id=row.pk, now=now)
        self.change = a_change(self.house, at=State.SCHEDULED)

    def choose(self, choice=Choice.GO_ON, who="manager", route=None):
        return choose(
            change_id=self.change.pk,
            route_id=(route or self.route).id,
            choice=choice,
            reason="the freeze begins at six",
            actor=self.house.actor(who),
            now=self.now,
        )


@pytest.fixture
def held(mesh, now):
    hold(mesh)
    return OnAChange(mesh, now)


def test_a_choice_stands_in_the_record_with_who_and_why(held):
    held.choose()
    row = OwnerChoice.objects.get()
    assert (row.owner, row.choice, row.chosen_by) == ("Argo CD", "go_on", "Marta Sá")
    (told,) = [one for one in audit.story(held.change.stream) if one.kind == "shift.owner_chosen"]
    assert (told.data["owner"], told.data["choice"], told.data["service"]) == ("Argo CD", "go_on", "frontend")
    assert (told.actor_name, told.text["reason"]) == ("Marta Sá", "the freeze begins at six")


def test_only_who_may_release_chooses(held):
    with pytest.raises(NotPermitted):
        held.choose(who="security")
    assert not OwnerChoice.objects.exists()


def test_where_nobody_holds_the_route_there_is_nothing_to_choose(mesh, now):
    free = OnAChange(mesh, now)
    with pytest.raises(Refused, match="nothing to choose"):
        free.choose()


def test_the_choice_of_a_route_the_change_does_not_touch_is_refused(held, mesh, now):
    other = a_route(mesh.url, now, service="checkoutservice", environment="staging")
    with pytest.raises(Refused, match="does not touch"):
        held.choose(route=other)


def test_a_release_does_not_begin_without_a_choice_and_its_own_covers_every_such_route(held):
    readings = {held.route.id: look(route_id=held.route.id, now=held.now)}
    who = {"actor": held.house.actor("manager"), "now": held.now}
    with pytest.raises(Refused) as refused:
        require_choices(held.change.pk, readings, **who)
    assert [one.code for one in refused.value.reasons] == ["owner_choice"]
    require_choices(held.change.pk, readings, Choice.GIT, reason="the freeze", **who)
    assert OwnerChoice.objects.get().choice == "git"
    require_choices(held.change.pk, readings, Choice.GO_ON, **who)
    assert OwnerChoice.objects.get().choice == "git"


@pytest.mark.parametrize("owner", ["Argo CD", "Helm"])
def test_the_consequence_is_shown_with_the_commit_that_would_keep_it(mesh, now, owner):
    hold(mesh, owner)
    held = OnAChange(mesh, now)
    (shown,) = outlooks(held.change)
    assert HELD_BY[owner][2] in str(shown.keeping.consequence)
    assert "keep 90/10" in str(shown.keeping.consequence)
    (patch,) = yaml.safe_load(shown.keeping.commit)["patches"]
    assert patch["target"] == {"group": "networking.istio.io", "kind": "VirtualService", "name": "frontend"}
    stored = mesh.cluster.store.objects["virtualservices", "bank-production", "frontend"]
    committed = json_patch(stored, yaml.safe_load(patch["patch"]))
    assert [one["weight"] for one in committed["spec"]["http"][0]["route"]] == [90, 10]
    assert {**committed, "spec": None} == {**stored, "spec": None}
    assert not written(mesh)
