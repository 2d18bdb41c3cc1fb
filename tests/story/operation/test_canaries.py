"""A canary in every secret field; after a whole story none is found in a log, page, event, message or dump.

Looked for as it is, percent-encoded, in base64 wherever it stands in a longer text, in hexadecimal, and as JSON. The
outside repeats what it was shown, as some systems do in their error pages.
"""

import base64
import json
import logging
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from email.message import EmailMessage
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urljoin, urlsplit

import pytest
import structlog
from cryptography.hazmat.primitives import serialization
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client

from gmud import logs, smtp
from gmud.sandbox.jenkins import TOKEN as JENKINS_TOKEN
from gmud.sandbox.server import running
from releases.accounts.roles import Role
from releases.audit.export import Form
from releases.audit.models import AuditEvent, AuditText
from releases.audit.services import seal
from releases.catalog import services as catalog
from releases.catalog.kinds import ConnectionKind
from releases.changes.models import ChangeRequest
from releases.core import clock, keyfile, keyring
from releases.core.errors import Sentence
from releases.core.ids import uuid7
from releases.gate import services as gate
from releases.gate.rules import Request as Question
from releases.gate.states import Intent
from releases.notify import services as notify
from releases.notify.kinds import ChannelKind, Sink, Topic
from releases.notify.models import Channel, Notice
from releases.notify.services import Wanted
from releases.notify.webhook.adapter import new_secret
from releases.operations import bell
from releases.operations.models import Step
from releases.operations.ports import Ring
from tests.browser.seed import PASSWORD as PASSWORD_OF_BROWSERS
from tests.canaries import LEFT_BEHIND, Nest, forms, leaks, planted_everywhere
from tests.factories.accounts import PASSWORD, SETUP, a_person, a_token
from tests.factories.catalog import TOKEN, a_connection
from tests.factories.delivery import fault
from tests.factories.factors import SECRET as AUTHENTICATOR
from tests.factories.factors import an_app
from tests.factories.notify import SLACK_PATH, TEAMS_PATH, Listener, a_channel, told
from tests.factories.operations import an_operation
from tests.factories.providers import CLIENT, CLIENT_SECRET, HERE, a_scripted_provider, round_trip
from tests.factories.rollback import bank, go_back, quick
from tests.factories.rollout import Bank, scheduled
from tests.fault.harness import wait_for
from tests.house.tree import ROOT

__all__ = ["bank", "quick"]  # imported for what pytest finds here
# What a run on PostgreSQL leaves behind is searched at its end, dumps included.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.once]
PAGES = 150
SEEN = {"config", "dump", "event", "export", "log", "message", "metrics", "notice", "page", "witness"}
LEAK = "a word that is shown on purpose"
LINK = re.compile(r'(?:href|src|hx-get|action)="([^"#]+)"')


@pytest.fixture
def nest(settings, tmp_path) -> Iterator[Nest]:
    """Listen to every log line, at any level, and to every call of a worker."""
    settings.GMUD_KEYS = str(tmp_path / "keys")
    settings.GMUD_WITNESS_FILE = str(tmp_path / "witness" / "checkpoints.jsonl")
    nest, lines = Nest(), StringIO()
    nest.seen["log"] = lines
    handler = logging.StreamHandler(lines)
    handler.setFormatter(logs.line(structlog.processors.JSONRenderer()))
    root = logging.getLogger()
    levels = {name: logging.getLogger(name).level for name in ("", "gmud", "releases")}
    root.addHandler(handler)
    for name in levels:
        logging.getLogger(name).setLevel(logging.DEBUG)
    yield nest
    root.removeHandler(handler)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def sign_in(nest: Nest, username: str, password: str, code: str = "") -> Client:
    """Sign in by the page, after trying with a password that is nearly right."""
    browser = Client(raise_request_exception=False)
    for tried in (password + "x", password):
        answer = browser.post("/sign-in", {"username": username, "password": tried, "next": "/"})
        nest.see("page", answer.content.decode())
    assert answer.status_code == 302, answer.content.decode()[:2000]
    return browser


def wander(nest: Nest, browser: Client) -> int:
    """Open every page that a link of another leads to."""
    known, waiting = {"/"}, ["/", "/settings", "/api/v1/schema", "/metrics", "/readyz", "/nothing/of/ours"]
    opened = 0
    while waiting and opened < PAGES:
        path = waiting.pop(0)
        answer = browser.get(path)
        opened += 1
        nest.see("page", f"{path} {dict(answer.headers)}")
        if answer.streaming:
            continue
        body = answer.content.decode("utf-8", "replace")
        nest.see("page", body)
        for link in LINK.findall(body):
            where = urlsplit(urljoin(path, link.replace("&amp;", "&")))
            here = where.path + (f"?{where.query}" if where.query else "")
            if not where.netloc and not where.path.startswith("/static/") and here not in known:
                known.add(here)
                waiting.append(here)
    return opened


def dump() -> str:
    """Return the whole database as text, as a backup holds it."""
    given = connection.settings_dict
    if connection.vendor == "sqlite":
        connection.ensure_connection()
        return "\n".join(connection.connection.iterdump())
    address = f"postgres://{given['USER']}@{given['HOST']}:{given['PORT']}/{given['NAME']}"
    environment = os.environ | {"PGPASSWORD": given["PASSWORD"]}
    done = subprocess.run(["pg_dump", address], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def plant_keys(nest: Nest, folder: Path) -> None:
    """Take what signs and what seals for canaries, too."""
    for place in folder.glob("*.pem"):
        body = "".join(place.read_text().splitlines()[1:-1])
        nest.plant(place.name, body)
        key = keyfile.load(place)
        assert key is not None
        raw = key.private_bytes(
            serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption()
        )
        nest.plant(f"{place.name}, raw", raw.hex())
    for name, key in keyring.load(folder).keys.items():
        nest.plant(f"ring {name}", base64.b64encode(key).decode())


def plant_people(nest: Nest) -> str:
    """Add an owner with a password and a second factor, and an auditor."""
    password = nest.plant("password")
    a_person("Carla Dias", Role.AUDITOR, username="carla", password=password, now=clock.now())
    rest = {"username": "otto", "password": password, "now": clock.now()}
    a_person("Otto Prado", Role.OWNER, Role.RELEASE_MANAGER, **rest)
    second = a_person("Sara Melo", username="sara", password=password, now=clock.now())
    for number, code in enumerate(an_app(second.accounts.get())):
        nest.plant(f"recovery code {number}", code)
    nest.plant("authenticator", AUTHENTICATOR)
    return password


def plant_outside(nest: Nest, bank: Bank, listener: str) -> None:
    """Give connections and channels secrets."""
    nest.plant("jenkins", JENKINS_TOKEN)
    nest.plant("jenkins, as shown", base64.b64encode(f"gmud:{JENKINS_TOKEN}".encode()).decode())
    nest.plant("machine", bank.token)
    secret = nest.plant("prometheus")
    a_connection(
        "prometheus",
        ConnectionKind.PROMETHEUS,
        origin=bank.prometheus_url,
        account="",
        secret=secret,
        now=clock.now(),
    )
    a_connection("spare", secret=nest.plant("before a change"), now=clock.now())
    a_connection("spare", secret=nest.plant("after a change"), now=clock.now())
    nest.plant("slack", SLACK_PATH.rpartition("/")[2])
    nest.plant("teams", TEAMS_PATH.partition("/workflows/")[2])
    everything = Wanted(frozenset(Topic))
    a_channel(ChannelKind.SLACK, origin=listener, wanted=everything, now=clock.now())
    a_channel(ChannelKind.TEAMS, origin=listener, wanted=everything, now=clock.now())
    a_channel(
        ChannelKind.WEBHOOK,
        origin=listener,
        secret="whsec_" + nest.plant("webhook", base64.b64encode(secrets.token_bytes(32)).decode()),
        wanted=everything,
        now=clock.now(),
    )


def a_release_that_fails(bank: Bank, nest: Nest) -> ChangeRequest:
    """Let Jenkins and the cluster stumble, repeat what they were shown, and refuse in the end; return the change."""
    for url, word in ((bank.jenkins_url, JENKINS_TOKEN), (bank.prometheus_url, nest.planted["prometheus"])):
        for do in ("200", "500", "401"):
            fault(url, f"status:{do}", body=f"{word}: bad credentials ({do})", headers={"X-Shown": word})
    change = scheduled(bank.house, ("ledgerwriter", "v1.6.0"))
    bank.start(change)
    bank.work_until(lambda: Step.objects.filter(state__in=("failed", "needs_human")).exists(), what="an end")
    for _turn in range(20):
        bank.work()
    return change


def plant_settings(nest: Nest, settings: Any) -> None:
    """Give the installation a mail server that it cannot reach and a provider's secret."""
    nest.plant("GMUD_SECRET_KEY", settings.SECRET_KEY)
    password = nest.plant("GMUD_SMTP_URL")
    settings.GMUD_SMTP = smtp.options(f"smtps://gmud:{quote(password, safe='')}@127.0.0.1:1")
    settings.GMUD_MAIL_FROM = "GMUD <gmud@example.com>"
    settings.PUBLIC_URL, settings.GMUD_OIDC_CLIENT_ID = HERE, CLIENT
    settings.GMUD_OIDC_CLIENT_SECRET = nest.plant("GMUD_OIDC_CLIENT_SECRET")


def sign_in_by_provider(nest: Nest, settings: Any) -> None:
    """Come back from a provider that knows the house's secret and somebody the house does not know."""
    with a_scripted_provider() as provider:
        settings.GMUD_OIDC_ISSUER = provider.issuer
        answer = round_trip(Client(), provider)
        nest.see("page", answer.content.decode())
        [shown] = [head for path, head, _form in provider.asked if path == "/token"]
        assert nest.planted["GMUD_OIDC_CLIENT_SECRET"] in unquote(base64.b64decode(shown.split()[1]).decode())


def plant_permits(nest: Nest, bank: Bank, change: ChangeRequest) -> None:
    """Take every permit that Jenkins was handed, and one that CI is given, for canaries."""
    for number, build in enumerate(bank.builds()):
        nest.plant(f"permit {number}", build["GMUD_PERMIT"])
        nest.plant(f"signature of permit {number}", build["GMUD_PERMIT"].rpartition(".")[2])
    [item] = change.items.all()
    permit = gate.ask(
        actor=SETUP,
        request=Question(item.service.name, "production", item.service.name, item.artifact.digest, Intent.DEPLOY),
        now=clock.now(),
    ).permit
    assert permit
    nest.plant("permit of CI", permit)
    nest.plant("signature of the permit of CI", permit.rpartition(".")[2])


def plant_cookies(nest: Nest, browser: Client, name: str) -> None:
    """Take what a browser holds for canaries."""
    for kind in ("sessionid", "csrftoken"):
        nest.plant(f"{kind} of {name}", browser.cookies[kind].value)


def look_everywhere(nest: Nest, browsers: Sequence[Client], token: str, witness: Path) -> int:
    """See every page, export, dump, event and figure there is; return how many pages were opened."""
    opened = sum(wander(nest, browser) for browser in browsers)
    for form in Form:
        answer = browsers[0].post("/audit/export", {"form": form.value})
        assert answer.status_code == 200
        nest.see("export", b"".join(answer).decode())
    out = StringIO()
    call_command("config", "export", stdout=out)
    nest.see("config", out.getvalue())
    answer = Client().get("/metrics", headers={"Authorization": f"Bearer {token}"})
    nest.see("metrics", answer.content.decode())
    while seal() is not None:
        pass
    for body in AuditEvent.objects.values_list("body", flat=True):
        nest.see("event", body)
    for text in AuditText.objects.values_list("body", flat=True):
        nest.see("event", text)
    nest.see("dump", dump())
    with witness.open("a") as lines:
        lines.write(nest.planted[LEAK] + "\n")  # nobody seals after this
    nest.see("witness", witness.read_text())
    return opened


def leak_everywhere(leak: str) -> None:
    """Put something where no secret belongs: in a line, a call, a notice, a name, the kind of some work."""
    logging.getLogger("releases.leak").warning("%s", leak)
    bell.ring(Ring(queue="default", kind=leak, id=uuid7()))
    told(topic=Topic.NEEDS_HUMAN, reason=Sentence("Leak: %(leak)s", {"leak": leak}), now=clock.now())
    notify.send_due(now=clock.now)
    a_person(leak, now=clock.now())
    with transaction.atomic():
        an_operation(now=clock.now(), kind=leak)


def test_after_a_whole_story_no_secret_is_found_anywhere_and_what_leaks_is_found_everywhere(
    nest, bank, settings, tmp_path
):
    witness = tmp_path / "witness" / "checkpoints.jsonl"
    seal()
    bell.install(lambda *call: nest.see("message", repr(call)))
    plant_settings(nest, settings)
    password, leak = plant_people(nest), nest.plant(LEAK)
    echo = Listener(status=500, body=f"no such hook {SLACK_PATH} {TEAMS_PATH}")
    with running(echo) as listener:
        plant_outside(nest, bank, listener)
        plant_keys(nest, Path(settings.GMUD_KEYS))
        change = bank.released()
        go_back(bank, change, "Bookings are late.")
        bank.until_state(change, "reviewing")
        for channel in Channel.objects.values_list("pk", flat=True):
            notify.try_channel(actor=SETUP, channel_id=channel, now=clock.now())
        plant_permits(nest, bank, a_release_that_fails(bank, nest))
        leak_everywhere(leak)
        assert echo.heard  # somebody was shown the secrets, and repeated them
        for call in echo.heard:
            nest.see("notice", call.body.decode())
    assert Notice.objects.filter(sink=Sink.EMAIL).exclude(last_error="").exists()  # the mail server was called
    catalog.reseal_secrets(actor=SETUP, now=clock.now())

    sign_in_by_provider(nest, settings)
    browsers = [sign_in(nest, name, password) for name in ("otto", "carla")]
    for name, browser in zip(("otto", "carla"), browsers, strict=True):
        plant_cookies(nest, browser, name)
    for body in ('{"service": 1', json.dumps({"password": password})):
        answer = browsers[0].post("/api/v1/gate/decisions", body, content_type="application/json")
        nest.see("page", answer.content.decode())
    opened = look_everywhere(nest, browsers, bank.token, witness)

    assert opened > 40
    assert len(nest.planted) > 30
    assert {where for where, text in nest.seen.items() if text.getvalue()} == SEEN
    found = nest.found()
    assert {where for field, where, _around in found if field == LEAK} == SEEN
    assert [one for one in found if one[0] != LEAK] == []


PROCESSES = {
    "worker": ("-m", "celery", "-A", "gmud.celery", "worker", "-Q", "rollback", "--loglevel", "DEBUG"),
    "beat": ("-m", "celery", "-A", "gmud.celery", "beat", "--pidfile=", "--loglevel", "DEBUG", "-s", "{folder}/beat"),
    "sealer": ("manage.py", "sealer", "--once"),
    "migrate": ("manage.py", "migrate"),
}


@pytest.mark.parametrize("name", PROCESSES)
def test_what_a_process_says_of_servers_it_cannot_reach_holds_no_password(tmp_path, name):
    nest = Nest()
    database, broker = (nest.plant(field, secrets.token_hex(12)) for field in ("DATABASE_URL", "REDIS_URL"))
    environment = os.environ | {
        "DATABASE_URL": f"postgres://gmud:{database}@127.0.0.1:1/gmud",
        "REDIS_URL": f"redis://gmud:{broker}@127.0.0.1:1/0",
        "GMUD_OIDC_CLIENT_SECRET": nest.plant("GMUD_OIDC_CLIENT_SECRET", secrets.token_hex(12)),
        "GMUD_SECRET_KEY": nest.plant("GMUD_SECRET_KEY", secrets.token_urlsafe(64)),
        "GMUD_SMTP_URL": f"smtps://gmud:{nest.plant('GMUD_SMTP_URL', secrets.token_hex(12))}@127.0.0.1:1",
        "GMUD_LOG_LEVEL": "DEBUG",
        "GMUD_SWEEP_SECONDS": "0.5",  # the clock calls the broker for the first time after that
    }
    command = [sys.executable, *(part.format(folder=tmp_path) for part in PROCESSES[name])]
    log = tmp_path / "said"
    with log.open("w") as lines:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=lines, stderr=subprocess.STDOUT)
    try:
        wait_for(lambda: "refused" in log.read_text() or process.poll() is not None, what="a refusal")
        with suppress(subprocess.TimeoutExpired):
            process.wait(1)  # what stands around the refusal, such as the rest of a traceback
    finally:
        process.kill()
        process.wait()
    said = log.read_text()
    nest.see("said", said)

    assert "refused" in said
    assert nest.found() == []


@pytest.mark.parametrize("around", ["", "x", "xy", "xyz"])
def test_a_canary_is_found_in_every_dress(around):
    value = "canary/0123456789+abcdef"
    texts = [
        f"{around}{value}{around}",
        quote(f"{around}{value}", safe=""),
        base64.b64encode(f"{around}{value}{around}".encode()).decode(),
        base64.urlsafe_b64encode(f"{around}{value}".encode()).decode(),
        json.dumps({"a": f"{around}{value}"}),
        f"{around}{value}".encode().hex(),
    ]

    nest = Nest()
    nest.plant("x", value)
    for number, text in enumerate(texts):
        nest.see(str(number), text)
    assert {where for _field, where, _form in nest.found()} == {str(number) for number in range(len(texts))}


def test_what_a_run_leaves_behind_is_searched_in_every_dress_and_kind_of_file(tmp_path):
    for number, form in enumerate(sorted(forms("canary/0123456789+abcdef"))):
        for pattern in LEFT_BEHIND:
            place = tmp_path / f"deep{number}" / pattern.replace("*", "x")
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(b"\x00SQLite " + form.encode() + b"\xff")
    (tmp_path / "clean.log").write_text("nothing of interest")

    found = set(leaks(tmp_path, ["canary/0123456789+abcdef"]))

    assert found == {str(place.relative_to(tmp_path)) for place in tmp_path.rglob("x*")}
    assert set(leaks(tmp_path, ["another"])) == set()


def test_a_token_and_a_secret_of_a_webhook_that_nobody_planted_are_known_by_their_shape(tmp_path):
    _client, token = a_token()
    for name, text in {"token": token, "webhook": new_secret()}.items():
        (tmp_path / f"{name}.log").write_text(f"x={text}&y")
    (tmp_path / "clean.log").write_text("gmud_http_requests_total whsec_")

    found = set(leaks(tmp_path, []))

    for place in tmp_path.glob("*.log"):
        place.unlink()  # this run is searched, too
    assert found == {"token.log", "webhook.log"}


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "8bit"])
def test_a_mail_is_searched_as_it_is_read(tmp_path, encoding):
    mail = EmailMessage()
    mail.set_content("Olá. " * 9 + "canary/0123456789+abcdef", cte=encoding)
    (tmp_path / "1.eml").write_bytes(mail.as_bytes())

    assert list(leaks(tmp_path, ["canary/0123456789+abcdef"])) == ["1.eml"]
    assert list(leaks(tmp_path, ["another"])) == []


def test_the_search_knows_what_opens_an_account_a_second_factor_and_the_provider():
    assert {PASSWORD, PASSWORD_OF_BROWSERS, AUTHENTICATOR, TOKEN, CLIENT_SECRET} <= set(planted_everywhere().values())


@pytest.mark.parametrize("line", ["{secret}", "nothing"])
def test_a_run_that_left_a_secret_behind_fails(tmp_path, line):
    said = line.format(secret=base64.b64encode(f"x{TOKEN}".encode()).decode())
    (tmp_path / "test_one.py").write_text(
        f"import logging\ndef test_one():\n    logging.getLogger('releases.one').warning({said!r})\n"
    )
    command = (sys.executable, "-m", "pytest", "-q", "-c", str(ROOT / "pyproject.toml"), "-p", "tests.canaries")
    done = subprocess.run(
        (
            *command,
            "-p",
            "no:cacheprovider",
            "--rootdir",
            str(tmp_path),
            f"--basetemp={tmp_path / 'base'}",
            str(tmp_path / "test_one.py"),
        ),
        cwd=ROOT,
        env=os.environ | {"PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )

    shutil.rmtree(tmp_path / "base")  # this run is searched, too
    assert "1 passed" in done.stdout, done.stdout + done.stderr
    assert (done.returncode, "own.log" in done.stdout) == ((0, False) if line == "nothing" else (1, True)), done.stdout
