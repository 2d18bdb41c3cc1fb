"""Sessions: begun when somebody proved who they are, listed for their owner, ended by them or by an owner here."""

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.contrib.sessions.models import Session as StoredSession
from django.db import transaction

from releases.accounts import queries
from releases.accounts.models import Session, User
from releases.accounts.rights import Right
from releases.accounts.rules import Visitor, device_of, session_digest
from releases.accounts.services.roles import locked, require
from releases.audit import services as audit
from releases.audit.actor import Actor
from releases.audit.kinds import Kind
from releases.core.errors import Missing, Sentence
from releases.core.words import mark as _


def begin_session(
    *, account: User, key: str, replaces: str = "", methods: tuple[str, ...], visitor: Visitor, now: datetime
) -> Session:
    """Note that somebody proved who they are in this browser, and how; a renewed proof keeps the session's place.

    ``key`` is the session's, ``replaces`` the one it had before the same person proved themselves again.

    :raises NotPermitted: the account or the person was ended meanwhile
    """
    actor = queries.actor_for(
        account, session=session_digest(key), signed_in_at=now, methods=methods, request=visitor.request
    )
    with transaction.atomic(durable=True):
        _sweep(now)
        mine = Session.objects.select_for_update().filter(user=account, key=session_digest(replaces))
        before = mine.first() if replaces else None
        row = before or Session(user=account, began_at=now)
        row.key, row.methods, row.proved_at, row.seen_at = session_digest(key), list(methods), now, now
        row.address, row.device = visitor.address or None, device_of(visitor.device)
        row.ends_at = now + timedelta(hours=settings.GMUD_SESSION_HOURS)
        row.save()
        audit.record(
            stream=account.person.stream,
            kind=Kind.SESSION_PROVED if before else Kind.SESSION_STARTED,
            actor=actor,
            data={"account": account.username, "session": row.key, "methods": row.methods},
            text={"address": visitor.address, "device": row.device},
        )
        return row


def see_session(*, key: str, now: datetime) -> None:
    """Note that a session is in use; doors call it once a minute at most."""
    Session.objects.filter(key=session_digest(key)).update(seen_at=now)


def move_session(*, key: str, to: str) -> None:
    """Follow a session to its new key: it stays the same sign-in."""
    Session.objects.filter(key=session_digest(key)).update(key=session_digest(to))


def sign_out(*, actor: Actor, key: str, now: datetime) -> None:
    """End the session somebody acts in; one that is not listed (any more) is nothing to tell."""
    del now  # the record takes its time from the database
    with transaction.atomic(durable=True):
        rows = Session.objects.select_for_update().select_related("user__person")
        for row in rows.filter(key=session_digest(key)):
            _end(row, actor, "signed_out")


def end_session(*, actor: Actor, session_id: UUID, now: datetime) -> None:
    """End one session at once: one's own, or anybody's with the right to edit people.

    :raises Missing: there is no such session, or it is not theirs to end
    """
    del now  # the record takes its time from the database
    with transaction.atomic(durable=True):
        row = Session.objects.select_for_update().select_related("user__person").filter(pk=session_id).first()
        if row is None or not (actor.person_id == row.user.person_id or queries.can(actor, Right.PEOPLE_EDIT)):
            raise Missing(Sentence(_("There is no such session; it may have ended meanwhile.")))
        _end(row, actor, "ended")


def end_sessions(*, actor: Actor, person_id: UUID, but: str = "", now: datetime) -> int:
    """End all sessions of a person but the one with this key, and return how many.

    :raises NotPermitted: they are somebody else's, and the actor may not edit people
    :raises Missing: there is no such person
    """
    if actor.person_id != person_id:
        require(actor, Right.PEOPLE_EDIT)
    del now  # the record takes its time from the database
    with transaction.atomic(durable=True):
        locked(person_id)
        rows = Session.objects.select_for_update().select_related("user__person").filter(user__person_id=person_id)
        found = list(rows.exclude(key=session_digest(but)) if but else rows)
        for row in found:
            _end(row, actor, "ended")
        return len(found)


def _sweep(now: datetime) -> None:
    """Forget what ran out, of everybody: nobody else cleans up behind browsers that never come back."""
    Session.objects.filter(ends_at__lte=now).delete()
    StoredSession.objects.filter(expire_date__lte=now).delete()


def _end(row: Session, actor: Actor, why: str) -> None:
    """Delete a session, so that its browser is a stranger's from the next request on, and record it."""
    StoredSession.objects.filter(session_key=row.key).delete()
    audit.record(
        stream=row.user.person.stream,
        kind=Kind.SESSION_ENDED,
        actor=actor,
        data={"account": row.user.username, "session": row.key, "why": why},
    )
    row.delete()
