"""Kong and APISIX are connected as their guides say: its commands at the gateway, then the pages."""

import json
import re
import shlex
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gmud.sandbox.apisix import ADMIN_KEY, Apisix
from gmud.sandbox.kong import Kong
from gmud.sandbox.server import running
from releases.accounts.roles import Role
from releases.catalog.models import Route
from tests.factories.accounts import a_person
from tests.factories.delivery import ask

DOCS = Path(__file__).parents[3] / "docs"
FORM = {"account": "", "config": ""}
GATEWAYS = {
    "kong": (Kong, "", ("checkout-stable:8080", "checkout-canary:8080"), "3.9.1 (postgres)"),
    "apisix": (Apisix, ADMIN_KEY, ("checkout-stable", "checkout-canary"), "3.18.0"),
}

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _ring(tmp_path, settings):
    settings.GMUD_KEYS = str(tmp_path)


def follow(guide, **known):
    """Send what the commands of a guide send: lines of curl, or of a function around it that puts."""
    (block,) = re.findall(r"```sh\n(.*?)```", (DOCS / guide).read_text(), re.DOTALL)
    for name, value in known.items():
        block = block.replace(f"${name}", value)
    for command in re.findall(r"^(?:curl|put) (?:'[^']*'|[^'\n])*", block, re.MULTILINE):
        words = shlex.split(command.replace("$json", "Content-Type: application/json"))
        headers = {"X-API-KEY": known.get("KEY", "")}
        if words[0] == "put":
            method, url, body = "PUT", f"{known['APISIX']}/apisix/admin/{words[1]}", words[2]
        else:
            body = words[words.index("-d") + 1] if "-d" in words else None
            method, url = ("POST" if body else "GET"), words[-1]
        parts = urlsplit(url)
        answer = ask(f"http://{parts.netloc}", method, parts.path, body=body, headers=headers)
        assert answer.status in (200, 201), (command, answer.text)
        last = json.loads(answer.text)
    return last


def in_words(answer):
    return " ".join(answer.content.decode().split())


@pytest.mark.parametrize("kind", sorted(GATEWAYS))
def test_a_gateway_is_connected_and_its_traffic_seen_as_its_guide_says(browse, house, kind):
    sandbox, secret, (stable, canary), version = GATEWAYS[kind]
    at_work = browse(a_person("Olga Dias", Role.OWNER, username="olga"))
    with running(sandbox()) as url:
        assert follow(f"connect-{kind}.md", **{kind.upper(): url}, KEY=secret)

        asked = {**FORM, "name": "edge", "kind": kind, "origin": url, "secret": secret}
        path = at_work.post("/settings/connections/add", asked).headers["Location"]
        page = in_words(at_work.get(path))
        assert version in page
        assert "Nothing to mend." in page

        asked = {
            "service": str(house.service.pk),
            "environment": str(house.environment.pk),
            "connection": path.rstrip("/").rpartition("/")[2],
            "name": "checkout",
            "stable": stable,
            "canary": canary,
        }
        path = at_work.post("/settings/routes/add", asked).headers["Location"]
        assert "100" in in_words(at_work.get(path))
        assert at_work.post(f"{path}/look").status_code == 302
    assert Route.objects.get().reading.weights == {"stable": 100, "canary": 0}
