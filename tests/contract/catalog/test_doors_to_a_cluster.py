"""Every way to sign in to an API server, against one that speaks TLS and asks who comes."""

from pathlib import Path

import pytest

from gmud.sandbox.kubernetes.api import Cluster
from releases.catalog import services
from releases.catalog.doors import door_for, doors_beside
from releases.catalog.kinds import ConnectionKind
from releases.catalog.models import Connection
from releases.cluster.client import ClusterClient
from releases.core import redaction
from releases.core.errors import Invalid, Rejected, Unreachable
from tests.factories.accounts import NOW, SETUP
from tests.factories.tls import a_certificate, over_tls

pytestmark = pytest.mark.django_db
TOKEN, OTHER = "sandbox-full", "sandbox-read"


@pytest.fixture(autouse=True)
def _ring(tmp_path, settings):
    settings.GMUD_KEYS = str(tmp_path / "keys")


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    return Path(a_certificate(tmp_path_factory.mktemp("tls"))).read_text().strip()


@pytest.fixture
def authority(pem):
    return pem.split("-----BEGIN PRIVATE KEY-----")[0].strip()


@pytest.fixture
def api(pem, tmp_path):
    (tmp_path / "server.pem").write_text(pem)
    with over_tls(Cluster(), str(tmp_path / "server.pem")) as url:
        yield url


@pytest.fixture
def pod(tmp_path, settings, authority, monkeypatch, api):
    """Return the folder that the kubelet mounts into our pod."""
    settings.GMUD_SERVICE_ACCOUNT = str(tmp_path)
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "ca.crt").write_text(authority)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", api.rpartition(":")[2])
    return tmp_path


def connect(origin, **more):
    kind = more.pop("kind", ConnectionKind.KUBERNETES)
    return services.connect(actor=SETUP, name="mesh", kind=kind, origin=origin, now=NOW, **more)


def version(row):
    return ClusterClient(door_for(row)).version()


def test_a_token_and_the_clusters_own_authority(api, authority):
    row = connect(api, secret=TOKEN, config={"authority": authority})
    assert version(row) == "v1.36.2-rig"


def test_without_its_authority_nothing_is_said_to_it(api):
    with pytest.raises(Unreachable, match="self-signed"):
        version(connect(api, secret=TOKEN))


def test_a_client_certificate_signs_in_from_memory_and_is_never_shown(pem, authority, tmp_path):
    (tmp_path / "server.pem").write_text(pem)
    with over_tls(Cluster(), str(tmp_path / "server.pem"), demands_a_client=True) as url:
        row = connect(url, secret=TOKEN, client_certificate=f"subject=gmud\n{pem}\n", config={"authority": authority})
        assert version(row) == "v1.36.2-rig"
        services.reconnect(
            actor=SETUP, connection_id=row.pk, name="mesh", origin=url, secret=OTHER, config=row.config, now=NOW
        )
        assert version(row) == "v1.36.2-rig", "a new token keeps the certificate"
        services.reconnect(actor=SETUP, connection_id=row.pk, name="mesh", origin=url, client_certificate="", now=NOW)
        with pytest.raises(Unreachable):
            version(row)
    line = pem.splitlines()[-2]
    shown = [repr(door_for(row)), str(Connection.objects.filter(pk=row.pk).values()[0])]
    assert not [one for one in shown if line in one or OTHER in one]
    assert line not in redaction.redact(f"a traceback with {line}")


def test_another_address_asks_for_the_certificate_again(pem):
    row = connect("https://one.example", secret="a-token-0123", client_certificate=pem)
    with pytest.raises(Invalid) as raised:
        services.reconnect(
            actor=SETUP, connection_id=row.pk, name="mesh", origin="https://two.example", secret="a-token-0123", now=NOW
        )
    assert list(raised.value.fields) == ["client_certificate"]


def test_the_pods_service_account_signs_in_and_its_token_is_read_again_after_it_was_replaced(pod, api):
    row = connect(api, config={"sign_in": "in_cluster"})
    client = ClusterClient(door_for(row))
    assert client.version() == "v1.36.2-rig"
    (pod / "token").write_text("another-0123")
    with pytest.raises(Exception, match="Unauthorized"):
        client.version()
    (pod / "token").write_text(OTHER)
    assert client.version() == "v1.36.2-rig"
    assert OTHER not in repr(client.door)


def test_outside_of_a_pod_it_is_told_what_is_missing(pod, api):
    row = connect(api, config={"sign_in": "in_cluster"})
    (pod / "token").unlink()
    with pytest.raises(Rejected, match="automountServiceAccountToken"):
        version(row)


def test_the_pods_token_goes_to_its_own_cluster_alone(pod):
    for origin in ("https://evil.example", "http://kubernetes.default.svc", "https://127.0.0.1:1"):
        with pytest.raises(Invalid, match="cannot be saved") as raised:
            connect(origin, config={"sign_in": "in_cluster"})
        assert "its own cluster alone" in str(raised.value.fields["config"][0])
    assert connect("https://kubernetes.default.svc", config={"sign_in": "in_cluster"}).secret_box is None


def test_the_pods_account_takes_the_place_of_a_secret_and_stands_beside_none(pod, api):
    row = connect(api, secret=TOKEN)
    connect(api, config={"sign_in": "in_cluster"})
    row.refresh_from_db()
    assert (row.secret_box, row.secret_last4) == (None, "")
    for more in ({"secret": "another-0123"}, {"kind": ConnectionKind.KONG}, {"config": {"sign_in": "exec"}}):
        with pytest.raises(Invalid):
            connect(api, **{"config": {"sign_in": "in_cluster"}, **more})


@pytest.mark.parametrize("kind", [ConnectionKind.JENKINS, ConnectionKind.APISIX])
def test_where_a_token_is_needed_a_certificate_alone_is_not_enough(kind, pem):
    with pytest.raises(Invalid) as raised:
        connect("https://x.example", kind=kind, account="gmud", client_certificate=pem)
    assert list(raised.value.fields) == ["secret"]


def test_an_authority_that_is_none_is_told_at_its_field(api):
    with pytest.raises(Invalid) as raised:
        connect(api, secret=TOKEN, config={"authority": "trust me"})
    assert list(raised.value.fields) == ["authority"]


def test_doors_beside_the_address_carry_nothing_secret():
    config = {"control": "http://127.0.0.1:9090, http://127.0.0.1:9091"}
    row = connect("http://127.0.0.1:9180", kind=ConnectionKind.APISIX, secret="a-key-012345", config=config)
    beside = doors_beside(row)
    assert [(one.origin, dict(one.headers)) for one in beside] == [
        ("http://127.0.0.1:9090", {}),
        ("http://127.0.0.1:9091", {}),
    ]
    with pytest.raises(Invalid) as raised:
        connect("http://127.0.0.1:9180", kind=ConnectionKind.APISIX, config={"control": ["ftp://x"]})
    assert list(raised.value.fields) == ["config"]
