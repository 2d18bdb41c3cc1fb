"""Signing in with a user name and a password."""

from uuid import UUID

from django.contrib.auth.backends import ModelBackend

from releases.accounts.models import User


class PersonBackend(ModelBackend):
    """Lets in active accounts of active persons; both are read on every request, so ending one ends its sessions."""

    def user_can_authenticate(self, user: object) -> bool:
        """Say whether the account and the person behind it are active."""
        return isinstance(user, User) and user.is_active and user.person.is_active

    def get_user(self, user_id: UUID) -> User | None:
        """Return the account of a session, or ``None`` when it was ended meanwhile."""
        user = User.objects.select_related("person").filter(pk=user_id).first()
        return user if self.user_can_authenticate(user) else None
