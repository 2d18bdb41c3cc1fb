"""A foreign edit is a drift: raised once with who and when, followed, taken back, and put back by one click."""

from datetime import timedelta

import pytest

from releases.accounts.roles import Role
from releases.audit import queries as audit
from releases.catalog import services as catalog
from releases.core.errors import NotPermitted, Refused, Stale
from releases.notify import occasions
from releases.notify.kinds import Topic
from releases.notify.models import Notice
from releases.operations import services as operations
from releases.operations.models import Operation, OutboxMessage
from releases.operations.states import OperationState, StepState
from releases.rollback.services import restoring
from releases.traffic import queries, services
from releases.traffic.models import Drift, Observation
from releases.traffic.ports import NotEditable
from tests.factories.accounts import a_person, actor_of
from tests.factories.shifts import HANDLERS, Clock, a_route, begin, run, running_cluster

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
ASKED, ALL = {"stable": 90, "canary": 10}, {"stable": 0, "canary": 100}


@pytest.fixture
def mesh():
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture
def shifted(mesh, now):
    """Return a route whose traffic was shifted to 90/10 by us."""
    route = a_route(mesh.url, now)
    operation, _step = run(begin(route, ASKED, now), now)
    assert operation.state == OperationState.SUCCEEDED
    return route


def look(route, now, *, minutes=1):
    services.look(route_id=route.id, now=now + timedelta(minutes=minutes))


def drifted(mesh, route, now, *weights, **who):
    mesh.edit(*weights, **who)
    look(route, now)
    return Drift.objects.get()


def test_what_stands_as_asked_is_no_drift(shifted, now):
    look(shifted, now)

    assert not Drift.objects.exists()


def test_a_foreign_edit_is_raised_once_with_who_and_when(mesh, shifted, now):
    drift = drifted(mesh, shifted, now, 40, 60, manager="kubectl-edit")
    for minutes in (2, 3):
        look(shifted, now, minutes=minutes)

    assert (drift.observed, drift.writer) == ({"stable": 40, "canary": 60}, "kubectl-edit")
    assert drift.written_at is not None
    assert (Drift.objects.count(), drift.ended_at) == (1, None)
    assert OutboxMessage.objects.filter(kind="drift.raised", ref=drift.pk).count() == 1
    (told,) = [one for one in audit.story(f"route:{shifted.id}") if one.kind == "drift.raised"]
    assert told.data["writer"] == "kubectl-edit"
    assert told.data["observed"] == {"stable": 40, "canary": 60}


def test_a_drift_that_moves_on_stays_one_drift_and_the_record_tells_each_move(mesh, shifted, now):
    drift = drifted(mesh, shifted, now, 40, 60)
    mesh.edit(20, 80, manager="argocd-controller")
    look(shifted, now, minutes=2)

    drift.refresh_from_db()
    assert (drift.observed, drift.writer) == ({"stable": 20, "canary": 80}, "argocd-controller")
    assert OutboxMessage.objects.filter(kind="drift.raised").count() == 1
    assert [one.kind for one in audit.story(f"route:{shifted.id}")].count("drift.raised") == 2


def test_it_is_taken_back_when_the_weights_agree_again(mesh, shifted, now):
    drift = drifted(mesh, shifted, now, 40, 60)
    mesh.edit(9, 1)
    look(shifted, now, minutes=2)

    drift.refresh_from_db()
    assert drift.ended_at == now + timedelta(minutes=2)
    assert OutboxMessage.objects.filter(kind="drift.ended", ref=drift.pk).exists()
    assert "drift.ended" in [one.kind for one in audit.story(f"route:{shifted.id}")]


def test_what_git_holds_says_what_becomes_of_a_restore(mesh, shifted, now):
    label = [{"op": "add", "path": "/metadata/labels/app.kubernetes.io~1instance", "value": "bank"}]
    place = {"kind": "virtualservices", "namespace": "bank-production", "name": "frontend"}
    mesh.control("edit", **place, manager="argocd-controller", patch=label)
    drift = drifted(mesh, shifted, now, 100, 0, manager="argocd-controller")

    assert drift.owner == "Argo CD"
    assert "self-heal" in str(queries.drift(drift.pk).consequence)


def test_while_our_work_is_to_shift_the_route_nothing_is_a_drift(mesh, shifted, now):
    begin(shifted, {"stable": 50, "canary": 50}, now)
    mesh.edit(40, 60)
    look(shifted, now)

    assert not Drift.objects.exists()


def test_work_that_waits_for_a_person_or_comes_later_blinds_nobody(mesh, shifted, now):
    _operation, step = run(begin(shifted, ALL, now, expect={"stable": 1, "canary": 1}), now)
    assert step.state == StepState.NEEDS_HUMAN
    later = begin(shifted, ALL, now, stage=2)
    Operation.objects.filter(pk=later.pk).update(stage=1)  # a release that pauses before its next step

    assert drifted(mesh, shifted, now, 40, 60).observed == {"stable": 40, "canary": 60}


def test_what_was_refused_does_not_make_the_same_weights_ours(mesh, shifted, now):
    mesh.control("faults", match={"method": "PATCH", "query": "dryRun=All"}, do="status:403", times=1)
    operation, _step = run(begin(shifted, ALL, now), now)
    assert operation.state == OperationState.FAILED

    assert drifted(mesh, shifted, now, 0, 100).observed == ALL


def test_what_was_sent_and_never_confirmed_may_be_ours(mesh, shifted, now):
    operation = begin(shifted, ALL, now)
    operations.run(operation_id=operation.pk, worker="w", handlers=HANDLERS, now=Clock(now))
    mesh.edit(90, 10)
    _operation, step = run(operation, now + timedelta(seconds=2))
    assert step.state == StepState.NEEDS_HUMAN

    mesh.edit(0, 100)
    look(shifted, now)
    assert not Drift.objects.exists()


def test_an_older_look_than_the_last_one_changes_nothing(mesh, shifted, now):
    look(shifted, now, minutes=2)
    mesh.edit(40, 60)
    look(shifted, now)

    assert not Drift.objects.exists()


def test_the_people_hear_of_it_once_and_hear_when_it_is_over(mesh, shifted, now):
    a_person("Davi Nunes", Role.ON_CALL, now=now)
    drift = drifted(mesh, shifted, now, 40, 60)
    for _again in range(2):
        occasions.traffic_drifted(drift_id=drift.pk, now=now)
    (notice,) = Notice.objects.filter(topic=Topic.DRIFT)
    assert notice.link == f"/traffic/{shifted.id}"

    occasions.traffic_agrees(drift_id=drift.pk, now=now)
    notice.refresh_from_db()
    assert notice.settled_at is not None


def restore(drift, who, now, **parts):
    seen = parts.pop("seen", drift.observed)
    return restoring.restore(drift_id=drift.pk, seen=seen, actor=actor_of(who), now=now, **parts)


def test_one_click_puts_the_very_numbers_back_and_the_drift_ends(mesh, shifted, now):
    drift = drifted(mesh, shifted, now, 40, 60)
    davi = a_person("Davi Nunes", Role.ON_CALL, now=now)
    previewed = restoring.preview(drift_id=drift.pk, now=now)
    assert (previewed.is_possible, [step.after for step in previewed.steps]) == (True, [90, 10])
    assert mesh.weights() == {"stable": 40, "canary": 60}

    at = now + timedelta(minutes=2)
    operation, _step = run(restore(drift, davi, at), at)

    assert operation.state == OperationState.SUCCEEDED
    assert mesh.weights() == ASKED
    drift.refresh_from_db()
    assert drift.ended_at is not None
    last = queries.ledger(shifted.id)[0]
    assert (last.asked_by, last.before, last.asked) == ("Davi Nunes", {"stable": 40, "canary": 60}, ASKED)


def test_a_second_click_is_the_same_operation(mesh, shifted, now):
    drift = drifted(mesh, shifted, now, 40, 60)
    davi = a_person("Davi Nunes", Role.ON_CALL, now=now)

    assert restore(drift, davi, now) == restore(drift, davi, now)
    assert Operation.objects.filter(kind=restoring.RESTORE).count() == 1


def test_weights_that_moved_since_they_were_shown_are_not_overwritten(mesh, shifted, now):
    drift = drifted(mesh, shifted, now, 40, 60)
    davi = a_person("Davi Nunes", Role.ON_CALL, now=now)
    with pytest.raises(Stale):
        restore(drift, davi, now, seen={"stable": 41, "canary": 59})

    begun = restore(drift, davi, now)
    mesh.edit(20, 80)
    operation, step = run(begun, now)
    assert operation.state == OperationState.NEEDS_HUMAN
    assert "kubectl-edit" in str(step.note)
    assert mesh.weights() == {"stable": 20, "canary": 80}

    look(shifted, now, minutes=2)
    drift.refresh_from_db()
    assert drift.observed == {"stable": 20, "canary": 80}
    at = now + timedelta(minutes=3)
    operation, _step = run(restore(drift, davi, at), at)
    assert (operation.state, mesh.weights()) == (OperationState.SUCCEEDED, ASKED)
    begun.refresh_from_db()
    assert begun.state == OperationState.SUPERSEDED


def test_who_may_not_go_back_may_not_restore(mesh, shifted, now):
    drift = drifted(mesh, shifted, now, 40, 60)

    with pytest.raises(NotPermitted):
        restore(drift, a_person("Ana Reis", Role.ENGINEER, now=now), now)


def test_a_restore_waits_for_other_work_on_the_route(mesh, shifted, now):
    drift = drifted(mesh, shifted, now, 40, 60)
    begin(shifted, {"stable": 50, "canary": 50}, now)

    with pytest.raises(Refused, match="Other work"):
        restore(drift, a_person("Davi Nunes", Role.ON_CALL, now=now), now)


def test_of_an_object_that_the_route_names_no_more_nothing_is_asked(mesh, shifted, now):
    catalog.describe_route(
        actor=actor_of(a_person("Olga Dias", Role.OWNER, now=now)),
        route_id=shifted.id,
        connection_id=shifted.connection.id,
        locator={**shifted.locator, "name": "contacts"},
        stable="stable",
        canary="canary",
        now=now,
    )

    assert queries.asked_of(shifted.id) is None


def test_what_nobody_can_see_is_kept_with_the_reason_and_is_no_drift(mesh, shifted, now):
    mesh.control("edit", kind="virtualservices", namespace="bank-production", name="frontend", delete=True)
    with pytest.raises(NotEditable, match="no VirtualService"):
        look(shifted, now)

    assert "no VirtualService" in str(queries.last_seen()[shifted.id].why)
    assert not Drift.objects.exists()


def test_the_end_of_a_shift_is_a_look_too(mesh, shifted):
    assert list(Observation.objects.values_list("seen_by", "weights")) == [("worker", ASKED)]
