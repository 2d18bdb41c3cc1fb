"""``GMUD_STRICT=1``: what a production installation refuses to start with, all of it at once, each by its setting.

Who asks, and where (one place for all four kinds of process):

* web: ``gmud/wsgi.py``, before the application is made;
* worker and beat: Celery's signals in ``gmud/celery.py``, before the broker is spoken to;
* sealer: Django's checks, which ``manage.py sealer`` runs under the tag ``strict``.

``manage.py check --deploy --tag strict`` says the same without starting anything. Other commands of ``manage.py`` are
not refused: ``migrate`` runs as the owner of the tables, on purpose.
"""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django
from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.db import Error as DatabaseError
from django.db import connection

from gmud.env import DATA, env
from releases.audit import guards, privileges
from releases.audit.keys import KEY as CHECKPOINT_KEY
from releases.core import keyfile, keyring, ownfile
from releases.gate import keys as permit_keys

TAG = "strict"
SHORTEST_SECRET = 50
FEWEST_LETTERS = 10
LONGEST_ISSUER = 200  # as long as the column that keeps it
KNOWN_WORDS = ("change", "default", "django-insecure", "example", "insecure", "password", "secret-key", "secretkey")
SECURE_COOKIES = ("SESSION_COOKIE_SECURE", "SESSION_COOKIE_HTTPONLY", "CSRF_COOKIE_SECURE")


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason not to start: the setting, what is wrong with it, what to do. Never the value of a secret."""

    setting: str
    what: str
    fix: str

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.setting}: {self.what} {self.fix}"


Found = Iterator[Finding]


def findings() -> list[Finding]:
    """Return everything that speaks against starting, in the order of the table below."""
    return [one for rule in RULES for one in rule()]


def insist() -> None:
    """End the process with every finding and exit code 1 when this is a strict installation and there are any."""
    if not settings.GMUD_STRICT:
        return
    django.setup()
    found = findings()
    connection.close()  # whoever starts now may fork
    if found:
        lines = [f"GMUD_STRICT=1 refuses to start; to mend: {len(found)}", *(f"  {one}" for one in found)]
        (sys.__stderr__ or sys.stderr).write("\n".join([*lines, ""]))  # Celery turns the other one into log lines
        raise SystemExit(1)


def check(**_: Any) -> list[CheckMessage]:
    """Return the findings as Django's checks want them, registered by ``HouseConfig``."""
    return [Error(f"{one.setting}: {one.what}", hint=one.fix, id=f"{TAG}.{one.setting}") for one in findings()]


def _debug() -> Found:
    if settings.DEBUG:
        yield Finding("GMUD_DEBUG", "error pages would show settings and data.", "Remove it.")


def _stand_ins() -> Found:
    if settings.GMUD_DEMO:
        yield Finding("GMUD_DEMO", "the demo's people and stand-ins do not belong here.", "Remove it.")
    for name in sorted(name for name in os.environ if name.startswith("GMUD_SANDBOX_")):
        yield Finding(name, "a stand-in would answer for a real system.", "Remove it.")
    if env.str("GMUD_FAILPOINTS", default=""):
        yield Finding("GMUD_FAILPOINTS", "it kills workers on purpose, for tests.", "Remove it.")


def _secret_key() -> Found:
    secret = env.str("GMUD_SECRET_KEY", default="")
    fix = 'Give what this prints: python3 -c "import secrets; print(secrets.token_urlsafe(64))".'
    if not secret:
        yield Finding("GMUD_SECRET_KEY", "it is not given, and one made at start is another one elsewhere.", fix)
    elif len(secret) < SHORTEST_SECRET:
        yield Finding("GMUD_SECRET_KEY", f"it is shorter than {SHORTEST_SECRET} characters.", fix)
    elif len(set(secret)) < FEWEST_LETTERS or any(word in secret.lower() for word in KNOWN_WORDS):
        yield Finding("GMUD_SECRET_KEY", "it is one that others know or can guess.", fix)


def _keys() -> Found:
    folder = Path(settings.GMUD_KEYS)
    fix = "Make them once with manage.py keys prepare, and give every process the same folder."
    if not env.str("GMUD_KEYS", default=""):
        yield Finding("GMUD_KEYS", "no folder is named, and keys made at start differ from process to process.", fix)
        return
    try:
        there = {
            CHECKPOINT_KEY: keyfile.load(folder / CHECKPOINT_KEY),
            f"{permit_keys.PREFIX}….pem": permit_keys.signing(folder),
            keyring.FILE: (folder / keyring.FILE).exists() and keyring.load(folder),
        }
    except (ownfile.BadFile, OSError) as error:
        yield Finding("GMUD_KEYS", f"{error}", "Put right what it says.")
        return
    if missing := [name for name, key in there.items() if not key]:
        yield Finding("GMUD_KEYS", f"{', '.join(missing)} is not in the folder.", fix)


def _witness() -> Found:
    """Refuse the default and every place beside the keys: who takes the one folder could rewrite what it witnesses."""
    place = Path(settings.GMUD_WITNESS_FILE).resolve()
    fix = "Name a file on a volume of its own, which only the sealer writes."
    if not env.str("GMUD_WITNESS_FILE", default=""):
        yield Finding("GMUD_WITNESS_FILE", "the witness would lie in the data folder.", fix)
    elif place.is_relative_to(DATA.resolve()):
        yield Finding("GMUD_WITNESS_FILE", "it lies inside GMUD_DATA.", fix)
    elif place.is_relative_to(Path(settings.GMUD_KEYS).resolve()):
        yield Finding("GMUD_WITNESS_FILE", "it lies beside the keys that sign.", fix)


def _address() -> Found:
    url, hosts = urlsplit(settings.PUBLIC_URL), settings.ALLOWED_HOSTS
    if url.scheme != "https":
        yield Finding("GMUD_PUBLIC_URL", "people would sign in over plain http.", "Give an address with https://.")
    for host in hosts:
        if host.startswith((".", "*")):
            yield Finding("GMUD_ALLOWED_HOSTS", f"{host} stands for any name.", "Write every host name in full.")
    if url.hostname and url.hostname not in hosts and not any(host.startswith((".", "*")) for host in hosts):
        yield Finding(
            "GMUD_ALLOWED_HOSTS", f"{url.hostname} of GMUD_PUBLIC_URL is not among them.", f"Add {url.hostname}."
        )
    for name in SECURE_COOKIES:
        if url.scheme == "https" and not getattr(settings, name):
            yield Finding(name, "the cookie could be read on the way, or by a script.", "Leave it at its default.")
    if settings.SESSION_COOKIE_SAMESITE not in {"Lax", "Strict"}:
        yield Finding("SESSION_COOKIE_SAMESITE", "other sites could act in people's names.", "Leave it at Lax.")


def _provider() -> Found:
    issuer = settings.GMUD_OIDC_ISSUER
    if not issuer:
        if not settings.GMUD_PASSWORDS:
            yield Finding("GMUD_PASSWORDS", "nobody could sign in: there is no provider either.", "Remove it.")
        return
    if urlsplit(issuer).scheme != "https" or len(issuer) > LONGEST_ISSUER:
        fix = f"Give its https:// address, at most {LONGEST_ISSUER} characters."
        yield Finding("GMUD_OIDC_ISSUER", "it is no address that only the provider answers.", fix)
    for name in ("GMUD_OIDC_CLIENT_ID", "GMUD_OIDC_CLIENT_SECRET"):
        if not getattr(settings, name):
            yield Finding(name, "the provider would not know who asks.", "Give what the provider gave you.")


def _database() -> Found:
    """Look at the engine, then at the role; a database that does not answer is a reason to wait outside."""
    if connection.vendor != "postgresql":
        yield Finding(
            "DATABASE_URL",
            f"{connection.vendor} cannot keep the record from its own owner.",
            "Use PostgreSQL 15 or newer: postgres://….",
        )
        return
    fix = "Connect as the role for running (gmud_app) that deploy/sql/roles.sql makes."
    try:
        missing = guards.missing(connection)
        excessive = privileges.excessive(connection)
    except DatabaseError as error:
        yield Finding(
            "DATABASE_URL",
            f"the database does not answer ({type(error).__name__}).",
            "Look whether it is up, and wait.",
        )
        return
    if missing:
        yield Finding(
            "DATABASE_URL",
            f"the record is not guarded: {', '.join(missing)} not in place.",
            "Run manage.py migrate as the owner of the tables.",
        )
    for what in excessive:
        yield Finding("DATABASE_URL", f"this role could rewrite the audit record: {what}.", fix)


RULES: tuple[Callable[[], Found], ...] = (
    _debug,
    _stand_ins,
    _secret_key,
    _keys,
    _witness,
    _address,
    _provider,
    _database,
)
