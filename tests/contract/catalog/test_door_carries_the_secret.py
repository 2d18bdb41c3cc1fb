"""What really leaves the house through the door of a connection, seen from the other side."""

import base64
import logging

import pytest
import structlog
from django.apps import apps
from django.db import connection as database

from gmud.sandbox.server import Answer, Call, Sandbox, json_answer, running
from releases.catalog.doors import door_for
from releases.catalog.kinds import ConnectionKind
from releases.catalog.models import Connection
from releases.core import redaction
from releases.core.errors import Refused
from tests.factories.catalog import TOKEN, a_connection

pytestmark = pytest.mark.django_db


class Listener(Sandbox):
    """Keeps the headers of every call."""

    title = "listener"

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[dict[str, str]] = []

    def answer(self, call: Call) -> Answer:
        self.heard.append({name.lower(): value for name, value in call.headers.items()})
        return json_answer({"path": call.path})


@pytest.fixture(autouse=True)
def _ring(tmp_path, settings):
    settings.GMUD_KEYS = str(tmp_path)


def test_the_system_behind_the_address_sees_its_secret_and_nobody_else_does():
    ours, theirs = Listener(), Listener()
    with running(ours) as here, running(theirs) as there:
        row = a_connection("ci", origin=f"{here}/jenkins")
        reply = door_for(row).call("GET", "/api/json")
        assert reply.json() == {"path": "/jenkins/api/json"}
        assert ours.heard[0]["authorization"] == "Basic " + base64.b64encode(f"gmud:{TOKEN}".encode()).decode()

        with database.cursor() as cursor:
            cursor.execute("UPDATE releases_connection SET origin = %s", [there])
        with pytest.raises(Refused):
            door_for(row).call("GET", "/api/json")
    assert theirs.heard == []


@pytest.mark.parametrize(
    ("kind", "header"), [(ConnectionKind.KONG, "kong-admin-token"), (ConnectionKind.APISIX, "x-api-key")]
)
def test_a_gateway_is_shown_its_key_in_the_header_it_looks_at(kind, header):
    listener = Listener()
    with running(listener) as here:
        door_for(a_connection("edge", kind, account="", origin=here)).call("GET", "/x")
    assert listener.heard[0][header] == TOKEN
    assert "authorization" not in listener.heard[0]


def test_a_kong_without_roles_is_shown_nothing():
    listener = Listener()
    with running(listener) as here:
        door_for(a_connection("edge", ConnectionKind.KONG, account="", secret=None, origin=here)).call("GET", "/x")
    assert not listener.heard[0].keys() & {"kong-admin-token", "authorization"}


def test_a_system_without_a_secret_gets_no_authorization_at_all():
    listener = Listener()
    with running(listener) as here:
        door_for(a_connection("m", ConnectionKind.PROMETHEUS, account="", secret=None, origin=here)).call("GET", "/x")
    assert "authorization" not in listener.heard[0]


@pytest.mark.parametrize("secret", ["canary-0123456789-plain", "canary/with+signs=012345", 'canary"with\\quotes-0123'])
def test_no_form_of_a_secret_reaches_a_table_or_a_log(secret, caplog):
    listener = Listener()
    with caplog.at_level(logging.DEBUG), running(listener) as here:
        row = a_connection("ci", origin=here, secret=secret)
        door = door_for(row)
        door.call("GET", "/")
        row.refresh_from_db()
        printed = structlog.processors.JSONRenderer()
        lines = [
            printed(None, "", redaction.processor(None, "", dict(event)))
            for event in (
                {"event": f"calling with {secret}", "door": door, "connection": row},
                {"event": "headers", "headers": dict(door.headers), "nested": [{"deep": (secret,)}]},
                {"event": "heard", "heard": listener.heard},
            )
        ]
    pair = base64.b64encode(f"gmud:{secret}".encode()).decode()
    forms = (secret, pair, base64.b64encode(secret.encode()).decode(), secret.replace("\\", "\\\\"))
    tables = [str(list(table._default_manager.values())) for table in apps.get_app_config("releases").get_models()]
    for text in (*lines, *tables, caplog.text, str(Connection.objects.values())):
        for form in forms:
            assert form not in text
