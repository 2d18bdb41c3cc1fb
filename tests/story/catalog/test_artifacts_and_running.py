"""Artifacts, their quarantine, what runs where, incidents."""

from dataclasses import replace
from datetime import timedelta
from itertools import product
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction

from releases.accounts.roles import Role
from releases.audit import queries as audit
from releases.catalog import queries, services
from releases.catalog.kinds import EnvironmentKind
from releases.catalog.models import Artifact, Running
from releases.core.errors import Invalid, Missing, NotPermitted
from tests.factories.accounts import NOW, SETUP, an_actor
from tests.factories.catalog import a_digest, a_service, an_artifact, an_environment

pytestmark = pytest.mark.django_db


def kinds(stream: str) -> list[str]:
    return [entry.kind for entry in audit.story(stream)]


@pytest.mark.parametrize("digest", ["latest", "app:latest", "v1.2.3", "sha256:" + "A" * 64, "sha256:" + "a" * 63, ""])
def test_a_tag_in_the_place_of_a_digest_is_refused(now, digest):
    service = a_service("frontend")
    with pytest.raises(Invalid) as caught:
        services.register_artifact(actor=SETUP, service_id=service.pk, version="v1", digest=digest, now=now)
    assert list(caught.value.fields) == ["digest"]


@pytest.mark.parametrize(
    "digest",
    ["latest", "sha256:" + "A" * 64, "sha256:" + "a" * 63, "sha256:" + "a" * 63 + "g", "sha512:" + "a" * 64, "x" * 71],
)
def test_the_database_itself_refuses_what_is_no_digest(digest):
    service = a_service("frontend")
    with pytest.raises(IntegrityError), transaction.atomic():
        Artifact.objects.create(service=service, version="v1", digest=digest, registered_at=NOW)


def test_a_version_that_looks_like_a_digest_is_refused(now):
    with pytest.raises(Invalid) as caught:
        an_artifact(a_service("frontend"), version=a_digest())
    assert list(caught.value.fields) == ["version"]


def test_a_digest_is_registered_once_per_service_whatever_it_is_called():
    service, other = a_service("frontend"), a_service("backend")
    first = an_artifact(service, "v1.0.0", a_digest(1))
    again = an_artifact(service, "v1.0.0-retagged", a_digest(1))
    elsewhere = an_artifact(other, "v1.0.0", a_digest(1))
    assert again.pk == first.pk != elsewhere.pk
    assert again.version == "v1.0.0"
    assert kinds(first.stream) == ["artifact.registered"]
    found = queries.artifacts_by_digest([a_digest(1), a_digest(2)])
    assert {digest: card.id for digest, card in found.items()} == {a_digest(1): first.pk}


def test_an_engineer_may_name_an_artifact_and_an_auditor_may_not(now):
    service = a_service("frontend")
    given = {"service_id": service.pk, "version": "v1", "digest": a_digest(), "now": now}
    services.register_artifact(actor=an_actor(Role.ENGINEER), **given)
    with pytest.raises(NotPermitted):
        services.register_artifact(actor=an_actor(Role.AUDITOR), **given)


def test_what_is_in_quarantine_stays_there_until_a_person_clears_it_with_a_reason(now):
    artifact = an_artifact(a_service("frontend"))
    services.quarantine(actor=an_actor(Role.ON_CALL, name="Otto"), artifact_id=artifact.pk, reason="500s", now=now)
    assert queries.quarantined([artifact.digest]) == {artifact.digest}
    card = queries.artifacts_by_digest([artifact.digest])[artifact.digest]
    assert (card.is_quarantined, card.quarantine_reason, card.quarantined_by) == (True, "500s", "Otto")

    with pytest.raises(NotPermitted):
        services.clear_quarantine(actor=an_actor(Role.ON_CALL), artifact_id=artifact.pk, reason="fine", now=now)
    with pytest.raises(Invalid):
        services.clear_quarantine(actor=an_actor(Role.RELEASE_MANAGER), artifact_id=artifact.pk, reason=" ", now=now)
    assert queries.quarantined([artifact.digest]) == {artifact.digest}

    rita = an_actor(Role.RELEASE_MANAGER, name="Rita")
    services.clear_quarantine(actor=rita, artifact_id=artifact.pk, reason="It was the database.", now=now)
    assert not queries.quarantined([artifact.digest])
    story = audit.story(artifact.stream)
    assert [entry.kind for entry in story] == ["artifact.registered", "artifact.quarantined", "artifact.cleared"]
    assert story[2].text["reason"] == "It was the database."


def test_quarantine_twice_keeps_the_first_reason_and_after_clearing_it_begins_anew(now):
    artifact = an_artifact(a_service("frontend"))
    for reason in ("first", "second"):
        services.quarantine(actor=SETUP, artifact_id=artifact.pk, reason=reason, now=now)
    assert Artifact.objects.get(pk=artifact.pk).quarantine_reason == "first"

    services.clear_quarantine(actor=SETUP, artifact_id=artifact.pk, reason="ok", now=now)
    services.clear_quarantine(actor=SETUP, artifact_id=artifact.pk, reason="ok again", now=now)
    services.quarantine(actor=SETUP, artifact_id=artifact.pk, reason="third", now=now + timedelta(days=1))
    row = Artifact.objects.get(pk=artifact.pk)
    assert row.is_quarantined
    assert (row.quarantine_reason, row.cleared_at, row.cleared_reason) == ("third", None, "")
    assert kinds(artifact.stream)[1:] == ["artifact.quarantined", "artifact.cleared", "artifact.quarantined"]


def test_a_digest_in_quarantine_for_one_service_is_so_for_all():
    digest = a_digest(7)
    one, _other = an_artifact(a_service("a"), digest=digest), an_artifact(a_service("b"), digest=digest)
    services.quarantine(actor=SETUP, artifact_id=one.pk, reason="bad", now=NOW)
    assert queries.quarantined([digest, a_digest(8)]) == {digest}


def test_the_database_refuses_a_clearing_without_a_quarantine():
    artifact = an_artifact(a_service("frontend"))
    with pytest.raises(IntegrityError), transaction.atomic():
        Artifact.objects.filter(pk=artifact.pk).update(cleared_at=NOW)


def run(artifact: Artifact, number: int | None = None, *, hours: int = 0) -> Running:
    return services.note_running(
        actor=SETUP,
        service_id=artifact.service_id,
        environment_id=an_environment().pk,
        artifact_id=artifact.pk,
        change_number=number,
        now=NOW + timedelta(hours=hours),
    )


def test_what_runs_ends_what_ran_before_and_the_spans_touch():
    service, place = a_service("frontend"), an_environment()
    one, two = an_artifact(service, "v1"), an_artifact(service, "v2")
    assert queries.running(service.pk, place.pk) is None
    run(one, 1001)
    run(two, 1002, hours=5)

    now_runs = queries.running(service.pk, place.pk)
    before = Running.objects.get(artifact=one)
    assert now_runs is not None
    assert (now_runs.artifact.version, now_runs.change_number, now_runs.ended_at) == ("v2", 1002, None)
    assert before.ended_at == now_runs.since_at
    assert kinds(service.stream)[1:] == ["running.noted", "running.noted"]


def test_the_same_again_changes_nothing():
    artifact = an_artifact(a_service("frontend"))
    first = run(artifact, 1001)
    assert run(artifact, 1001, hours=1).pk == run(artifact, None, hours=2).pk == first.pk
    assert Running.objects.count() == 1


def test_what_runs_in_some_places_says_nothing_of_others():
    one, two = a_service("frontend"), a_service("backend")
    production, staging = an_environment(), an_environment("staging", EnvironmentKind.STAGING)
    for service, place in product((one, two), (production, staging)):
        services.note_running(
            actor=SETUP,
            service_id=service.pk,
            environment_id=place.pk,
            artifact_id=an_artifact(service, f"{service.name}-{place.name}").pk,
            now=NOW,
        )
    asked = [(one.pk, production.pk), (two.pk, staging.pk), (uuid4(), production.pk)]
    found = queries.running_in(asked)
    assert {place: card.artifact.version for place, card in found.items()} == {
        asked[0]: "frontend-production",
        asked[1]: "backend-staging",
    }


def test_a_clock_that_went_back_does_not_end_a_run_before_it_began():
    service = a_service("frontend")
    one, two = an_artifact(service, "v1"), an_artifact(service, "v2")
    run(one, hours=2)
    later = run(two, hours=1)
    assert later.since_at == NOW + timedelta(hours=2)


def test_the_database_allows_one_open_run_per_service_and_environment_only():
    service = a_service("frontend")
    run(an_artifact(service))
    with pytest.raises(IntegrityError), transaction.atomic():
        Running.objects.create(
            service=service, environment=an_environment(), artifact=an_artifact(service), since_at=NOW
        )


def test_a_run_that_ends_before_it_begins_is_refused_by_the_database():
    row = run(an_artifact(a_service("frontend")))
    with pytest.raises(IntegrityError), transaction.atomic():
        Running.objects.filter(pk=row.pk).update(ended_at=row.since_at - timedelta(microseconds=1))


def test_an_artifact_of_another_service_does_not_run_here(now):
    service, other = a_service("frontend"), a_service("backend")
    with pytest.raises(Invalid, match="another service"):
        services.note_running(
            actor=SETUP,
            service_id=service.pk,
            environment_id=an_environment().pk,
            artifact_id=an_artifact(other).pk,
            now=now,
        )
    with pytest.raises(Missing):
        services.note_running(actor=SETUP, service_id=service.pk, environment_id=uuid4(), artifact_id=uuid4(), now=now)


def test_an_incident_is_open_until_somebody_closes_it(now):
    service, place = a_service("frontend"), an_environment()
    on_call = an_actor(Role.ON_CALL)
    row = services.open_incident(
        actor=on_call, service_id=service.pk, environment_id=place.pk, title="  Errors   rise ", now=now
    )
    (card,) = queries.open_incidents([service.pk])
    assert (card.id, card.title, card.opened_at) == (row.pk, "Errors rise", now)
    assert queries.open_incidents([service.pk], [uuid4()]) == []
    for _ in range(2):
        services.close_incident(actor=on_call, incident_id=row.pk, now=now + timedelta(hours=1))
    assert queries.open_incidents([service.pk], [place.pk]) == []
    assert kinds(row.stream) == ["incident.opened", "incident.closed"]
    with pytest.raises(NotPermitted):
        services.close_incident(actor=an_actor(Role.AUDITOR), incident_id=row.pk, now=now)


def test_a_failed_event_takes_the_row_back_with_it(now):
    artifact = an_artifact(a_service("frontend"))
    unrecordable = replace(SETUP, request="\x00")
    with pytest.raises(Invalid):
        services.quarantine(actor=unrecordable, artifact_id=artifact.pk, reason="500s", now=now)
    assert not Artifact.objects.exclude(quarantined_at=None).exists()
