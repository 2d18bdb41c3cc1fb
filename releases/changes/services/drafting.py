"""Write a draft and change it: every save keeps the digest of what is written."""

import re
from datetime import datetime
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Max

from releases.accounts import queries as accounts
from releases.accounts.models import Person
from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.audit.actor import Actor
from releases.audit.kinds import Kind
from releases.audit.services import agree, record
from releases.catalog import services as catalog_services
from releases.catalog.kinds import Place
from releases.catalog.models import Artifact
from releases.catalog.rules import parameter_problem
from releases.changes import pace
from releases.changes.document import digest_of, items_of
from releases.changes.drafts import ChangeDraft, KnownItem, known_items
from releases.changes.models import FIRST_NUMBER, ChangeRequest, Item, RollbackPlan
from releases.changes.promises import told_digest
from releases.changes.queries.differences import between
from releases.changes.services.moving import locked, move, wrong_state
from releases.changes.states import EDITABLE, ChangeType, MigrationClass, State
from releases.committee import services as committee
from releases.core.errors import Invalid, NotPermitted, Sentence, Stale
from releases.core.words import mark as _

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
NUL = "\x00"
FIRST_YEAR, LAST_YEAR = 1970, 2200
_NUMBERING = (0x6368616E, 1)  # PostgreSQL's advisory lock of whoever takes the next number


@transaction.atomic(durable=True)
def draft(*, actor: Actor, fields: ChangeDraft, now: datetime) -> ChangeRequest:
    """File a draft; it may be incomplete, but what it says must exist.

    :raises NotPermitted: the actor may not file changes
    :raises Invalid: an unknown service or environment, a tag instead of a digest, a window that ends too early
    """
    agree()
    require(actor, Right.CHANGE_FILE)
    requester = accounts.person_behind(actor)
    change = ChangeRequest(requester=requester, created_at=now, told_from_at=now, number=_next_number())
    _write(change, fields, author=requester, now=now, actor=actor)
    record(
        stream=change.stream,
        kind=Kind.CHANGE_DRAFTED,
        actor=actor,
        data={
            "number": change.number,
            "state": change.state,
            "type": change.type,
            "content_digest": change.content_digest,
            "requester": str(requester.pk),
        },
        text={"title": change.title},
    )
    return change


@transaction.atomic(durable=True)
def revise(
    *, change_id: UUID, actor: Actor, fields: ChangeDraft, now: datetime, seen_digest: str = ""
) -> ChangeRequest:
    """Change the content; a submitted change becomes a draft again and its votes no longer count.

    :raises Stale: the content is no longer the one that was seen
    :raises Refused: the change is past editing
    :raises NotPermitted: the actor neither asked for it nor plans releases
    :raises Invalid: as for :func:`draft`
    """
    change = locked(change_id)
    own(change, actor)
    if seen_digest and seen_digest != change.content_digest:
        raise Stale(
            Sentence(_("%(name)s was edited while you looked."), {"name": change.name}),
            reasons=between(change, seen_digest),
        )
    if change.state not in EDITABLE:
        raise wrong_state(change, "revise")
    author = accounts.person_behind(actor)
    before, was_draft = change.content_digest, change.state == State.DRAFT
    if change.round is not None and change.round.closed_at is None:
        committee.close_round(round=change.round, outcome="void", now=now)
    change.assessment = change.round = change.policy = None
    _write(change, fields, author=author, now=now, actor=actor)
    if was_draft and before == change.content_digest:
        return change
    move(change, "revise", actor=actor, now=now, data={"before": before})
    return change


def own(change: ChangeRequest, actor: Actor) -> None:
    """Refuse everybody but those who wrote the change and those who plan releases.

    :raises NotPermitted: it is somebody else's change
    :raises Contradicted: the record contradicts its witness, so nothing is edited
    """
    agree()
    require(actor, Right.CHANGE_FILE)
    person = accounts.person_behind(actor)
    if change.requester_id == person.pk or change.authors.filter(pk=person.pk).exists():
        return
    if Right.FREEZE_SET not in accounts.rights_of(actor):
        raise NotPermitted(
            Sentence(
                _("%(name)s was asked for by %(person)s: they, or a release manager, can change it."),
                {"name": change.name, "person": change.requester.name},
            )
        )


def _next_number() -> int:
    """Return the next free number; of two drafts at once the second waits here until the first is written.

    SQLite has one writer anyway.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", _NUMBERING)
    highest: int | None = ChangeRequest.objects.aggregate(highest=Max("number"))["highest"]
    return FIRST_NUMBER if highest is None else highest + 1


def _write(change: ChangeRequest, fields: ChangeDraft, *, author: Person, now: datetime, actor: Actor) -> None:
    """Save the fields, the items and their ways back, then the digest of it all."""
    resolved, before = _resolve(fields), told_digest(change, items_of(change))
    change.title, change.why, change.plan = fields.title.strip(), fields.why.strip(), fields.plan.strip()
    change.type = fields.type
    if fields.parameters is not None:
        change.parameters = dict(fields.parameters)
    if fields.steps is not None:
        change.steps = [one.as_json() for one in fields.steps]
    change.test_evidence = {
        name: value
        for name, value in (
            ("passed", fields.tests_passed),
            ("failed", fields.tests_failed or 0),
            ("url", fields.tests_url),
        )
        if fields.tests_passed is not None
    }
    change.starts_at, change.ends_at, change.updated_at = fields.starts_at, fields.ends_at, now
    change.save()
    change.authors.add(author, *accounts.answerable_for(actor))
    for name in ("implementers", "committers"):
        if (usernames := getattr(fields, name)) is not None:
            getattr(change, name).set(accounts.persons_named(usernames, field=name))
    change.items.all().delete()
    for position, one in enumerate(resolved, start=1):
        artifact = _artifact(one, one.draft.version, one.draft.digest, actor=actor, now=now)
        item = Item.objects.create(
            change=change,
            position=position,
            service_id=one.service.id,
            environment_id=one.environment.id,
            artifact=artifact,
        )
        target = one.way.target_id
        if one.draft.back_digest:
            target = _artifact(one, one.draft.back_version, one.draft.back_digest, actor=actor, now=now).pk
        RollbackPlan.objects.create(
            item=item,
            target_artifact_id=target,
            traffic_snapshot=one.way.traffic_snapshot,
            job=one.way.job,
            migration_class=one.draft.migration_class,
        )
    change.content_digest = digest_of(change)
    if told_digest(change, items_of(change)) != before:
        change.told_from_at = now
    change.save(update_fields=["content_digest", "told_from_at"])


def _artifact(one: KnownItem, version: str, digest: str, *, actor: Actor, now: datetime) -> Artifact:
    return catalog_services.register_artifact(
        service_id=one.service.id, version=version, digest=digest, actor=actor, now=now
    )


def _resolve(fields: ChangeDraft) -> tuple[KnownItem, ...]:
    wrong: dict[str, list[Sentence | str]] = {}
    _check_shape(fields, wrong)
    found, unknown = known_items(fields.items)
    wrong.update({name: [sentence] for name, sentence in unknown.items()})
    seen: set[Place] = set()
    for one in found:
        if one.place in seen:
            wrong[f"items.{one.position}.service"] = [
                Sentence(_("This service and environment stand in the list already."))
            ]
        seen.add(one.place)
    if wrong:
        raise Invalid(Sentence(_("Some fields need your attention.")), fields=wrong)
    return found


def _check_shape(fields: ChangeDraft, wrong: dict[str, list[Sentence | str]]) -> None:
    for name in ("title", "why", "plan"):
        if NUL in getattr(fields, name):
            wrong[name] = [Sentence(_("Remove the NUL character."))]
    if fields.type not in set(ChangeType):
        wrong["type"] = [Sentence(_("Choose one of: %(names)s."), {"names": ", ".join(ChangeType)})]
    for name in ("starts_at", "ends_at"):
        moment: datetime | None = getattr(fields, name)
        if moment and not FIRST_YEAR <= moment.year < LAST_YEAR:  # others the content digest cannot carry exactly
            sentence = _("Choose a moment after the year %(first)s and before the year %(last)s.")
            wrong[name] = [Sentence(sentence, {"first": FIRST_YEAR - 1, "last": LAST_YEAR})]
    if fields.starts_at and fields.ends_at and fields.ends_at <= fields.starts_at:
        wrong["ends_at"] = [Sentence(_("Let the window end after it starts."))]
    for name in fields.parameters or ():
        if problem := parameter_problem(name):
            wrong.setdefault("parameters", []).append(problem)
    lasts = fields.ends_at - fields.starts_at if fields.starts_at and fields.ends_at else None
    wrong.update(pace.problems(fields.steps or (), window=lasts))
    for position, one in enumerate(fields.items):
        where = f"items.{position}"
        if not DIGEST.fullmatch(one.digest):
            wrong[f"{where}.digest"] = [_digest_wanted()]
        if one.back_digest and not DIGEST.fullmatch(one.back_digest):
            wrong[f"{where}.back_digest"] = [_digest_wanted()]
        if not one.version.strip():
            wrong[f"{where}.version"] = [Sentence(_("Say which version this is."))]
        if one.migration_class not in set(MigrationClass):
            wrong[f"{where}.migration_class"] = [
                Sentence(_("Choose one of: %(names)s."), {"names": ", ".join(MigrationClass)})
            ]


def _digest_wanted() -> Sentence:
    return Sentence(_("Give the digest, sha256: and 64 hexadecimal figures: a tag can move to another artifact."))
