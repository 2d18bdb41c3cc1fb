"""Every section of the settings: a search shows what was asked for and nothing else, a history what was done."""

import re
from datetime import timedelta
from html import unescape

import pytest

from releases.accounts.roles import Role
from releases.catalog import services as catalog
from releases.catalog.kinds import ConnectionKind, DependencySource, Purpose
from releases.committee import services as committee
from releases.notify.kinds import ChannelKind, Topic
from releases.notify.models import Channel
from releases.web.pages.settings import SECTIONS
from tests.factories.accounts import SETUP, a_person, a_team, a_token
from tests.factories.catalog import a_connection, a_service, an_environment
from tests.factories.notify import a_channel

ROW = re.compile(r'<th scope="row">.*?href="/settings/([a-z]+)/([^"/]+)"', re.DOTALL)
STORY = re.compile(r'aria-labelledby="history".*?</section>', re.DOTALL)

# What is asked for, and what the history of what is found tells.
ASKED = {
    "people": ("zuleika", "added Zuleika Prado."),
    "teams": ("zebra", "added the team zebra."),
    "roles": ("zuleika", "gave Zuleika Prado the role owner."),
    "delegations": ("zuleika", "lent the seat Security to Zuleika Prado."),
    "machines": ("zebra", "issued a token for zebra-ci; Owner of tokens answers for it."),
    "channels": ("zebra", "added the channel."),
    "services": ("zebra", "added the service zebra-api."),
    "environments": ("zebra", "added the environment zebra-stage."),
    "dependencies": ("zebra", "recorded that zebra-api calls ledgerwriter."),
    "customers": ("zebra", "added the customer."),
    "connections": ("zebra", "added the connection zebra-ci: https://ci.example.com."),
    "bindings": ("zebra", "bound zebra-api in zebra-stage to zebra-ci for deploy."),
    "routes": ("zebra", "set where the traffic of zebra-api in zebra-stage is split."),
}


def wire(house, name):
    """Set up one of everything that is wired, each called by this name."""
    now, service = house.now, a_service(f"{name}-api", team=a_team(name))
    environment, connection = an_environment(f"{name}-stage"), a_connection(f"{name}-ci")
    cluster = a_connection(f"{name}-mesh", ConnectionKind.KUBERNETES)
    place = {"actor": SETUP, "service_id": service.pk, "environment_id": environment.pk, "now": now}
    edge = {"caller_id": service.pk, "callee_id": house.service.pk, "source": DependencySource.MANUAL}
    catalog.link(actor=SETUP, **edge, now=now)
    catalog.bind(**place, purpose=Purpose.DEPLOY, connection_id=connection.pk, settings={"job": name})
    locator = {"namespace": "bank", "name": name, "route": "primary"}
    catalog.register_route(**place, connection_id=cluster.pk, locator=locator, stable="blue", canary="green")
    catalog.register_customer(actor=SETUP, name=f"Of {name}", segment="retail", service_ids=[service.pk], now=now)
    a_token(name=f"{name}-ci", now=now)
    channel = a_channel(ChannelKind.WEBHOOK, Topic.APPROVED, now=now)
    Channel.objects.filter(pk=channel.pk).update(name=f"{name}-hears")


@pytest.fixture
def everything(house, settings, tmp_path):
    """Return the owner of a house with two of everything that can be set up."""
    settings.GMUD_KEYS = str(tmp_path)
    owner = a_person("Zuleika Prado", Role.OWNER, Role.SEAT_OPERATIONS, username="zuleika", now=house.now)
    for name in ("zebra", "horse"):
        wire(house, name)
    until = house.now + timedelta(days=3)
    for lender, to, seat in (("security", owner, "SECURITY"), ("operations", house.engineering, "OPERATIONS")):
        committee.delegate(
            actor=house.actor(lender),
            to_person=to.pk,
            seat=Role[f"SEAT_{seat}"],
            starts_at=house.now,
            ends_at=until,
            now=house.now,
        )
    return owner


def rows(browser, slug, **asked):
    found = ROW.findall(browser.get(f"/settings/{slug}", asked).content.decode())
    assert {one for one, _key in found} <= {slug}
    return [key for _slug, key in found]


def test_no_section_is_left_out():
    assert set(ASKED) == set(SECTIONS)


@pytest.mark.parametrize("slug", SECTIONS)
def test_a_search_shows_what_was_asked_for_and_its_page_what_was_done(everything, browse, slug):
    browser, (asked, done) = browse(everything), ASKED[slug]
    every, found = rows(browser, slug), rows(browser, slug, q=asked)

    assert found
    assert set(found) < set(every)
    for key in set(every) - set(found):
        assert asked not in browser.get(f"/settings/{slug}/{key}").content.decode().partition("<h1>")[2][:200].lower()
    pages = [unescape(browser.get(f"/settings/{slug}/{key}").content.decode()) for key in found]
    stories = [" ".join(re.sub(r"<[^>]+>", " ", STORY.search(page)[0]).split()) for page in pages]
    assert any(done in story for story in stories), stories
    assert rows(browser, slug, q="nothing is called so") == []
