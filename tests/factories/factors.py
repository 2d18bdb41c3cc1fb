"""Second factors, added through the real services."""

from datetime import datetime, timedelta

from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value

from releases.accounts import queries, services
from releases.accounts.models import User
from releases.audit.actor import Actor
from releases.core import clock

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def code_at(at: datetime, secret: str = SECRET) -> str:
    """Return what an authenticator app shows at that moment."""
    return format_hotp_value(hotp_value(secret, int(at.timestamp()) // 30))


def fresh(account: User, now: datetime) -> Actor:
    """Return who just signed in to the account."""
    return queries.actor_for(account, session="digest", signed_in_at=now, methods=("password",))


def an_app(account: User, now: datetime | None = None) -> tuple[str, ...]:
    """Add an authenticator app whose code of now was not used yet, and return the recovery codes."""
    now = now or clock.now()
    before = code_at(now - timedelta(seconds=30))
    return services.add_app(actor=fresh(account, now), account=account, secret=SECRET, code=before, now=now)
