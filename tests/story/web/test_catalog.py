"""The page of one service: owner, neighbours, places, changes, the policy that applies, who is on call, customers."""

import re
from datetime import timedelta

import pytest

from releases.accounts import services as accounts
from releases.accounts.models import Team
from releases.accounts.roles import Role
from releases.catalog import services as catalog
from releases.catalog.kinds import DependencySource, EnvironmentKind
from releases.changes.states import State
from releases.core import clock
from tests.factories.accounts import SETUP, a_person
from tests.factories.catalog import a_service, an_environment
from tests.factories.changes import a_change


@pytest.fixture
def shown(house, browse):
    """Return a function that gives what a part of the page says; the whole page when none is named."""

    def read(part: str = "main", *, who="engineer", language: str = "en") -> str:
        answer = browse(getattr(house, who)).get(
            f"/catalog/{house.service.name}", headers={"Accept-Language": language}
        )
        assert answer.status_code == 200
        page = answer.content.decode()
        found = re.search(rf'<section[^>]*aria-labelledby="{part}".*?</section>', page, re.DOTALL)
        markup = found[0] if found else page
        return " ".join(re.sub(r"<[^>]+>", " ", markup).split()) if found else markup

    return read


def link(caller, callee, source=DependencySource.ENVIRONMENT):
    return catalog.link(actor=SETUP, caller_id=caller.pk, callee_id=callee.pk, source=source, now=clock.now())


def test_the_owner_is_named_with_its_members(house, shown):
    lia = a_person("Lia Melo")
    accounts.join_team(actor=SETUP, team_id=house.service.team_id, person_id=lia.pk, now=house.now)

    assert "Owner Ledger Lia Melo" in shown("about")
    assert f"/settings/teams/{Team.objects.get(name='ledger').pk}" in shown()


def test_neighbours_stand_on_both_sides_each_with_its_source(house, shown):
    frontend, database, rumour = (a_service(name) for name in ("frontend", "ledger-db", "rumour"))
    known = link(frontend, house.service, DependencySource.MANUAL)
    catalog.confirm_dependency(actor=house.actor("manager"), dependency_id=known.pk, now=house.now)
    link(house.service, database)
    link(rumour, house.service, DependencySource.SHARED_CONFIG)

    said = shown("around")
    picture = re.search(r'<svg class="reach".*?</svg>', shown(), re.DOTALL)

    assert "ledgerwriter: 2 services call it, it calls 1 service" in said
    assert "frontend said by a person, confirmed" in said
    assert "rumour hint from a shared address book, not confirmed" in said
    assert "ledger-db read in its settings, not confirmed" in said
    assert picture is not None
    assert picture[0].count('<g class="open">') == 2
    assert picture[0].count('<path class="open"') == 2
    assert picture[0].count("<path") == 6
    assert "style=" not in picture[0]


def test_a_service_that_stands_alone_has_no_picture(shown):
    assert "no service calls it, it calls none" in shown("around")
    assert '<svg class="reach"' not in shown()


def test_every_environment_is_there_with_what_runs_or_that_nothing_does(house, shown):
    an_environment("staging", EnvironmentKind.STAGING)

    said = shown("places")

    assert "production v1.4.2" in said
    assert "staging Nothing is known to run yet." in said


def test_the_last_ten_changes_are_there_and_no_more(house, shown):
    for number in range(11):
        a_change(house, at=State.DRAFT, title=f"Change number {number}")

    said = shown("last")

    assert "Change number 10" in said
    assert "Change number 1 " in said
    assert "Change number 0 " not in said


def test_the_policy_is_told_for_each_environment_in_words(shown):
    an_environment("staging", EnvironmentKind.STAGING)

    said = shown("policy")

    assert "production Normal 2 people: 1 for Engineering and 1 for Security" in said
    assert "from high risk signed in within the last 5 minutes" in said
    assert "Emergency 1 person: 1 for Operations" in said
    assert "Standard Nobody: approved beforehand." in said
    assert said.index("production") < said.index("staging")
    assert "Security Helena Costa" in said
    assert "2 pessoas: 1 por Engenharia e 1 por Segurança" in shown("policy", language="pt-br")


def test_who_is_on_call_stands_there_those_of_the_team_first(house, shown):
    zoe = a_person("Zoe Alves", Role.ON_CALL)
    accounts.join_team(actor=SETUP, team_id=house.service.team_id, person_id=zoe.pk, now=house.now)

    assert "Zoe Alves member of the team Davi Nunes" in shown("on-call")


def test_that_nobody_is_on_call_is_said_with_the_way_to_mend_it(house, shown):
    accounts.revoke(actor=SETUP, person_id=house.on_call.pk, role=Role.ON_CALL, now=house.now)

    assert "Nobody is on call: give somebody the role." in shown("on-call")
    assert "/settings/roles/on_call" in shown()


def test_the_customers_it_serves_are_named_largest_first(house, shown):
    for name, size, hours in (("Small Shop", 12, 0), ("Varejo", 412_000, 48)):
        catalog.register_customer(
            actor=SETUP,
            name=name,
            segment="retail",
            size=size,
            notice_hours=hours,
            service_ids=[house.service.pk],
            now=house.now - timedelta(days=1),
        )

    said = shown("customers")

    assert said.index("Varejo retail, 412,000 told 48 hours before") < said.index("Small Shop retail, 12")
    assert "412.000" in shown("customers", language="pt-br")
