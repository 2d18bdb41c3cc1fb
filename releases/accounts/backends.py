"""Signing in with a user name and a password, and what is kept of a session."""

from typing import Any
from uuid import UUID

from django.contrib.auth.backends import ModelBackend
from django.contrib.sessions.backends import db
from django.contrib.sessions.base_session import AbstractBaseSession
from django.contrib.sessions.models import Session as StoredSession

from releases.accounts.models import User
from releases.accounts.rules import session_digest
from releases.core import clock


class PersonBackend(ModelBackend):
    """Lets in active accounts of active persons; both are read on every request, so ending one ends its sessions."""

    def user_can_authenticate(self, user: object) -> bool:
        """Say whether the account and the person behind it are active."""
        return isinstance(user, User) and user.is_active and user.person.is_active

    def get_user(self, user_id: UUID) -> User | None:
        """Return the account of a session, or ``None`` when it was ended meanwhile."""
        user = User.objects.select_related("person").filter(pk=user_id).first()
        return user if self.user_can_authenticate(user) else None


class SessionStore(db.SessionStore):
    """Keeps sessions under a digest of their key: who reads the database, or a backup of it, opens none.

    The key is in the browser's cookie only. Of Django's methods those are here that a WSGI server calls.
    """

    def exists(self, session_key: str) -> bool:
        """Say whether a session with this key is kept."""
        return super().exists(session_digest(session_key))

    def create_model_instance(self, data: dict[str, Any]) -> AbstractBaseSession:
        """Return the row to keep."""
        row = super().create_model_instance(data)
        row.session_key = session_digest(row.session_key)
        return row

    def delete(self, session_key: str | None = None) -> None:
        """Forget the session with this key, or this one."""
        if key := session_key or self.session_key:
            super().delete(session_digest(key))

    def _get_session_from_db(self) -> StoredSession | None:
        key = session_digest(self.session_key or "")
        row = StoredSession.objects.filter(session_key=key, expire_date__gt=clock.now()).first()
        if row is None:
            self._session_key = None
        return row
