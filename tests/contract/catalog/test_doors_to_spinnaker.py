"""Every way to sign in to Gate, from the connection to what Gate sees: two tokens, a password, a certificate."""

import datetime as dt
import ipaddress
import ssl
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gmud.sandbox.server import Server, running
from gmud.sandbox.spinnaker.accounts import ACCOUNTS, TOKEN
from gmud.sandbox.spinnaker.api import Gate
from gmud.sandbox.spinnaker.clouds import Clouds
from gmud.sandbox.spinnaker.work import Works
from releases.catalog.doors import door_for
from releases.catalog.kinds import ConnectionKind, Light
from releases.core.errors import Refused, Rejected, Unreachable
from releases.delivery.providers import provider_for
from releases.setup import checks
from tests.factories.accounts import NOW, SETUP
from tests.factories.catalog import a_connection

pytestmark = pytest.mark.django_db
PASSWORD = ACCOUNTS["gmud"]["password"].replace(" ", "-")
PEOPLE = {"gmud": {**ACCOUNTS["gmud"], "password": PASSWORD}}


@pytest.fixture(autouse=True)
def _ring(tmp_path, settings):
    settings.GMUD_KEYS = str(tmp_path)


@pytest.fixture
def gate():
    return Gate(Works(Clouds()), accounts=PEOPLE)


def spinnaker(url, config=None, **more):
    row = a_connection("spin", ConnectionKind.SPINNAKER, **{"origin": url, "account": "", "secret": None, **more})
    row.config = config or {}
    row.save()
    return row


@pytest.mark.parametrize(
    ("account", "secret", "header"),
    [
        ("", TOKEN, "x-spinnaker-token"),
        ("", "ya29-a-token-of-the-provider", "authorization"),
        ("gmud", PASSWORD, "authorization"),
    ],
    ids=["token", "bearer", "basic"],
)
def test_the_secret_goes_where_gate_looks_for_it(gate, account, secret, header):
    gate.accounts = {"gmud": {**PEOPLE["gmud"], "token": secret}}
    with running(gate) as url:
        row = spinnaker(url, account=account, secret=secret)
        assert provider_for(row).version() == "Gate (gmud)"

    (heard,) = gate.log
    assert {"authorization", "x-spinnaker-token"} & heard["headers"].keys() == {header}


def test_a_test_of_the_connection_names_who_we_are_and_what_is_wrong(gate):
    with running(gate) as url:
        good = checks.check(actor=SETUP, connection_id=spinnaker(url, secret=TOKEN).pk, now=NOW)
        bad = a_connection("other", ConnectionKind.SPINNAKER, origin=url, account="", secret=TOKEN[:-1] + "x")
        refused = checks.check(actor=SETUP, connection_id=bad.pk, now=NOW)
        nobody = a_connection("nobody", ConnectionKind.SPINNAKER, origin=url, account="", secret=None)
        unknown = checks.check(actor=SETUP, connection_id=nobody.pk, now=NOW)

    assert (good.light, good.version, good.lines) == (Light.GO, "Gate (gmud)", ())
    assert (refused.light, "does not accept" in str(refused.lines[0])) == (Light.STOP, True)
    assert (unknown.light, "does not know" in str(unknown.lines[0])) == (Light.STOP, True)


def a_certificate(folder, name):
    """Write a certificate for this machine with its key, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    today = dt.datetime.now(dt.UTC)
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - dt.timedelta(days=1))
        .not_valid_after(today + dt.timedelta(days=1))
        .add_extension(here, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / f"{name}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return str(folder / f"{name}.pem")


class ByCertificate(Gate):
    """Knows whoever came through a port that asks for a certificate, as ``x509.enabled`` does."""

    def answer(self, call):
        return super().answer(type(call)(**{**vars(call), "headers": {**call.headers, "x-spinnaker-token": TOKEN}}))


@pytest.fixture
def secured(tmp_path):
    """Serve on a port that trusts one certificate; gives the address."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=a_certificate(tmp_path, "gmud"))
    context.load_cert_chain(a_certificate(tmp_path, "gate"))
    context.verify_mode = ssl.CERT_REQUIRED
    a_certificate(tmp_path, "stranger")
    server = Server(ByCertificate(Works(Clouds()), accounts=PEOPLE), 0)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server.url.replace("http://", "https://")
    server.sandbox.closing.set()
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_certificate_signs_in_without_any_secret(secured, tmp_path, settings):
    settings.GMUD_CERTIFICATES = str(tmp_path)
    config = {"ca_bundle": "gate.pem", "client_certificate": "gmud.pem"}

    assert provider_for(spinnaker(secured, config=config)).version() == "Gate (gmud)"


@pytest.mark.parametrize(
    "config",
    [
        {"ca_bundle": "gate.pem"},
        {"ca_bundle": "gate.pem", "client_certificate": "stranger.pem"},
        {"client_certificate": "gmud.pem"},
    ],
    ids=["none", "a stranger's", "an authority nobody trusts"],
)
def test_without_the_right_certificate_nothing_is_said(secured, tmp_path, settings, config):
    settings.GMUD_CERTIFICATES = str(tmp_path)

    with pytest.raises(Unreachable):
        provider_for(spinnaker(secured, config=config)).version()


def test_a_certificate_comes_from_the_operators_folder_and_from_nowhere_else(gate, tmp_path, settings):
    with running(gate) as url:
        row = spinnaker(url, secret=TOKEN, config={"client_certificate": "../gmud.pem"})
        settings.GMUD_CERTIFICATES = str(tmp_path)
        with pytest.raises(Refused, match="client_certificate is the name of a file"):
            door_for(row)
        row.config = {"ca_bundle": "gmud.pem"}
        row.save()
        settings.GMUD_CERTIFICATES = ""
        with pytest.raises(Refused, match="GMUD_CERTIFICATES"):
            door_for(row)
        settings.GMUD_CERTIFICATES = str(tmp_path)
        secured = spinnaker(url.replace("http:", "https:"), secret=TOKEN, config={"ca_bundle": "gone.pem"})
        with pytest.raises(Rejected, match="certificates"):
            provider_for(secured).version()

    assert gate.log == type(gate.log)()
