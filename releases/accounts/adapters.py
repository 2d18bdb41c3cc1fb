"""What allauth asks of us about second factors: how their secrets are kept, and what an authenticator app shows."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path

from allauth.mfa.adapter import DefaultMFAAdapter
from django.conf import settings

from releases.accounts.models import User
from releases.core import keyring

_BOUND_TO = "accounts|second factor"


class FactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth carries no types
    """Seal the secrets of second factors with the ring of keys that seals those of connections."""

    def encrypt(self, text: str) -> str:
        """Return the sealed text as the table keeps it."""
        return urlsafe_b64encode(_ring().seal(text, bound_to=_BOUND_TO)).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Return what was sealed.

        :raises Unopenable: its key left the ring, or it was changed
        """
        return _ring().open(urlsafe_b64decode(encrypted_text), bound_to=_BOUND_TO)

    def get_totp_issuer(self) -> str:
        """Return what an authenticator app shows beside the user name."""
        return "GMUD"

    def get_public_key_credential_user_entity(self, user: User) -> dict[str, str | bytes]:
        """Return how a passkey names this account; the name helps to choose, the id finds the account again."""
        return {"id": user.pk.hex.encode(), "display_name": user.person.name, "name": user.username}


def is_sealed_with_first_key(sealed: str) -> bool:
    """Say whether a sealed text was sealed with the key that seals now."""
    return keyring.key_name(urlsafe_b64decode(sealed)) == _ring().first


def _ring() -> keyring.KeyRing:
    return keyring.load(Path(settings.GMUD_KEYS))
