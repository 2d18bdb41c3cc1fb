"""A configuration file is applied whole or not at all, and what is read out is what was read in."""

import pytest
from django.db import transaction

from gmud.demo import story
from gmud.demo.telling import ENTRANCES, Telling
from gmud.demo.telling import SETUP as DEMO
from releases.accounts.models import Person, Team, User
from releases.accounts.rights import Right
from releases.accounts.roles import Role
from releases.audit.models import AuditEvent
from releases.catalog import services as catalog
from releases.catalog.kinds import DependencySource, EnvironmentKind
from releases.catalog.models import Binding, Connection, Customer, Dependency, Environment, Service
from releases.committee import services as committee
from releases.committee.models import Policy
from releases.committee.queries import current_policy
from releases.core import canonical
from releases.core.errors import NotPermitted, Refused, Stale
from releases.setup.document import Unfit
from releases.setup.plan import Act
from releases.setup.queries import by_hand, export
from releases.setup.services import apply
from tests.factories.accounts import NOW, SETUP, a_person, a_team, a_token, an_actor
from tests.factories.catalog import a_connection, a_service, an_environment
from tests.factories.setup import SMALL, the_first_owner

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


def applied(actor, text, **more):
    return apply(actor=actor, text=text, dry_run=False, now=NOW, **more)


def refused(actor, text):
    """Return what is wrong, by path, and make sure that nothing was written."""
    before = AuditEvent.objects.count()
    with pytest.raises(Unfit) as caught:
        applied(actor, text)
    assert AuditEvent.objects.count() == before
    return {one.path: (one.line, str(one.sentence)) for one in caught.value.problems}


def test_a_whole_bank_moves_into_an_empty_installation_byte_for_byte(tmp_path):
    outside = {name: f"https://{name}.example.com" for name in ENTRANCES}
    here = transaction.savepoint()
    bank = Telling(now=NOW, outside=outside)
    bank._people()
    bank._catalog()
    bank._wires()
    bank._budget(NOW)
    committee.save_policy(actor=DEMO, name="Release policy", rules=story.POLICY, now=NOW)
    a_token(name="a machine of the bank")
    written = export(actor=DEMO)
    assert written == export(actor=DEMO)
    transaction.savepoint_rollback(here)
    assert not Person.objects.exists()
    owner = the_first_owner(story.OWNER)

    plan = applied(owner, written)

    assert plan.is_applied
    assert export(actor=owner) == written
    assert len(written) > 5000
    assert "machine" not in written
    assert not User.objects.get(username="ana").has_usable_password()
    assert not Connection.objects.exclude(secret_box=None).exists()
    assert applied(owner, written).is_empty


def test_a_file_by_hand_is_applied_completely_and_each_write_is_in_the_record():
    owner = the_first_owner()

    plan = applied(owner, SMALL)

    assert Person.objects.get(accounts__username="olga").name == "Olga Nunes"
    assert Team.objects.get(name="ledger").members.get().name == "Ana Reis"
    assert set(Person.objects.get(name="Ana Reis").grants.values_list("role", flat=True)) == {
        "engineer",
        "seat_security",
    }
    assert Dependency.objects.get().confirmed_by.name == "Olga Nunes"
    assert Service.objects.get(name="pricing").title == "pricing"
    assert Customer.objects.get().services.get().name == "cart"
    assert Binding.objects.get().settings == {"job": "cart", "parameters": {"A": "b"}}
    assert current_policy().name == "Release policy"
    told = set(AuditEvent.objects.values_list("kind", flat=True))
    assert told >= {
        *("person.registered", "person.described", "account.added", "role.granted", "team.registered", "team.joined"),
        *("environment.registered", "service.registered", "dependency.linked", "dependency.confirmed"),
        *("customer.registered", "connection.opened", "binding.set", "route.registered", "policy.saved"),
    }
    again = export(actor=owner)
    assert applied(owner, again).is_empty
    assert export(actor=owner) == again
    assert {one.act for one in plan.steps} == {Act.ADD, Act.CHANGE}


def test_a_dry_run_says_what_would_be_done_and_does_nothing():
    owner = the_first_owner()
    before = AuditEvent.objects.count()

    plan = apply(actor=owner, text=SMALL, dry_run=True, now=NOW)

    assert not plan.is_applied
    assert (Service.objects.count(), AuditEvent.objects.count()) == (0, before)
    assert applied(owner, SMALL, seen_digest=plan.digest).digest == plan.digest


def test_nothing_is_applied_that_differs_from_the_plan_that_was_seen():
    owner = the_first_owner()
    plan = apply(actor=owner, text=SMALL, dry_run=True, now=NOW)
    an_environment("staging")

    with pytest.raises(Stale):
        applied(owner, SMALL, seen_digest=plan.digest)
    assert not Service.objects.exists()


def test_what_differs_is_changed_and_what_the_file_does_not_name_stays_and_is_said():
    owner = the_first_owner()
    applied(owner, SMALL)
    a_service("search", team=Team.objects.get(name="ledger"))

    plan = applied(
        owner,
        "gmud: 1\n"
        "teams:\n- {name: ledger, title: Books, members: []}\n"
        "people:\n- {username: ana, roles: []}\n"
        "environments:\n- {name: staging, rank: 21}\n"
        "services:\n- {name: cart, criticality: 4}\n"
        "customers:\n- {name: account holders, size: 11}\n"
        "connections:\n- {name: ci, account: robot}\n"
        "bindings:\n- {service: cart, environment: production, purpose: deploy, settings: {job: cart2}}\n"
        "routes:\n- {service: cart, environment: production, canary: red}\n",
    )

    assert Team.objects.get(name="ledger").title == "Books"
    assert Team.objects.get(name="ledger").members.count() == 1
    assert Person.objects.get(name="Ana Reis").grants.count() == 2
    assert Environment.objects.get(name="staging").rank == 21
    assert (Service.objects.get(name="cart").criticality, Service.objects.get(name="cart").title) == (4, "Cart")
    assert (Customer.objects.get().size, Customer.objects.get().notice_hours) == (11, 24)
    assert Customer.objects.get().services.count() == 1
    assert Connection.objects.get(name="ci").account == "robot"
    assert Binding.objects.get().settings == {"job": "cart2"}
    said = {(one.kind, one.name, one.act.value): str(one.sentence or "") for one in plan.steps}
    assert said["services", "", "left"] == "These 2 are not in the file, and stay: pricing, search."
    assert "ana" in said["teams", "ledger", "change"]
    assert said["people", "ana", "keep"].endswith("stay: engineer, seat_security.")


def test_the_policy_of_an_earlier_release_is_the_same_policy():
    owner = the_first_owner()
    applied(owner, SMALL)
    policy = current_policy()
    rules = [{name: one for name, one in rule.items() if name != "second_factor"} for rule in policy.document]
    Policy.objects.update(rules=canonical.encode(rules).decode(), digest=canonical.digest(rules))

    assert applied(owner, export(actor=owner)).is_empty
    assert Policy.objects.count() == 1
    with pytest.raises(Refused) as same:
        committee.save_policy(actor=owner, name=policy.name, rules=rules, now=NOW)
    assert [reason.code for reason in same.value.reasons] == ["no_change"]


def test_a_later_policy_is_put_before_the_committee_once():
    owner = the_first_owner()
    applied(owner, SMALL)
    later = "gmud: 1\npolicy: {name: Stricter, rules: [{seats: {seat_security: 1}, second_factor: true}]}\n"

    plan = applied(owner, later)

    assert [one.act for one in plan.steps] == [Act.CHANGE]
    assert "committee" in str(plan.steps[0].sentence)
    assert current_policy().name == "Release policy"
    assert applied(owner, later).is_empty
    assert Policy.objects.count() == 2


IN_PRODUCTION = "when: {environment_kind: [production]}, seats: {seat_security: 1}"


def test_what_a_policy_asks_of_a_release_is_read_out_and_applied_with_the_environment_of_the_same_file():
    owner = the_first_owner()
    asks = f"- {{{IN_PRODUCTION}, highest_risk: high, after_environment: staging, soak_hours: 24}}"
    whole = f"{SMALL}  {asks}\n"

    applied(owner, whole)

    asked = {"highest_risk": "high", "after_environment": "staging", "soak_hours": 24}
    assert current_policy().document[1].items() >= asked.items()
    assert not current_policy().document[0].keys() & asked.keys()
    told = export(actor=owner)
    assert all(f"{name}: {value}" in told for name, value in asked.items())
    assert applied(owner, told).is_empty


def test_a_wish_of_a_policy_that_nothing_could_meet_is_named_by_its_line():
    owner = the_first_owner()
    asks = f"- {{{IN_PRODUCTION}, after_environment: moon}}"
    whole = f"{SMALL}  {asks}\n"

    found = refused(owner, whole)

    line = 1 + next(at for at, text in enumerate(whole.splitlines()) if "moon" in text)
    assert found["policy.rules[1].after_environment"][0] == line
    assert "no environment moon" in found["policy.rules[1].after_environment"][1]
    assert not Environment.objects.exists()


def test_machines_are_named_beside_the_file_and_never_in_it():
    owner = the_first_owner()
    applied(owner, SMALL)
    before = export(actor=owner)
    a_token(Right.GATE_ASK, name="zeta")
    a_token(Right.GATE_ASK, Right.CATALOG_EDIT, name="Alpha")

    assert [(one["name"], one["scopes"]) for one in by_hand(actor=owner)] == [
        ("Alpha", ["catalog.edit", "gate.ask"]),
        ("zeta", ["gate.ask"]),
    ]
    assert "zeta" not in export(actor=owner)
    assert "machines" not in before
    with pytest.raises(NotPermitted):
        by_hand(actor=an_actor(Role.ENGINEER))


def test_machines_of_a_file_are_issued_by_hand():
    owner = the_first_owner()
    plan = applied(owner, "gmud: 1\nmachines:\n- {name: ci, owner: olga, scopes: [gate.ask]}\n")

    assert [(one.act, one.name) for one in plan.steps] == [(Act.BY_HAND, "ci")]
    assert plan.is_empty


@pytest.mark.parametrize(
    ("text", "path", "line", "part"),
    [
        ("services:\n- {name: cart, team: nobody}", "services[0].team", 3, "no “nobody”"),
        ("services:\n- {name: cart, team: ledger, colour: red}", "services[0].colour", 3, "not known"),
        ("services:\n- name: cart\n  team: ledger\n  criticality: high", "services[0].criticality", 5, "1 to 4"),
        ("services:\n- {name: cart}", "services[0].team", 3, "missing"),
        ("servces: []", "servces", 2, "not known"),
        ("services: cart", "services", 2, "list"),
        ("teams:\n- {name: ledger, members: [zoe]}", "teams[0].members[0]", 3, "no “zoe”"),
        ("dependencies:\n- {caller: cart, callee: gone, source: manual}", "dependencies[0].callee", 3, "no “gone”"),
        ("dependencies:\n- {caller: gone, callee: cart, source: manual}", "dependencies[0].caller", 3, "no “gone”"),
        ("people:\n- {username: zoe, name: Zoe, roles: [king]}", "people[0].roles[0]", 3, "owner"),
        ("people:\n- {username: zoe, name: Zoe, language: xx}", "people[0].language", 3, "xx"),
        ("people:\n- {username: olga, name: Olga, roles: [engineer]}", "people[0].roles", 3, "last owner"),
        ("people:\n- {username: olga, roles: [owner, seat_security]}", "people[0].roles", 3, "themselves"),
        ("policy: {name: P, rules: [{seats: {seat_security: 1}}]}", "policy", 2, "Nobody could ever satisfy"),
        ("policy: {name: P, rules: [{seats: {seat_king: 1}}]}", "policy.rules[0].seats.seat_king", 2, "Unknown"),
        ("connections:\n- {name: a, kind: http, origin: ftp://x}", "connections[0].origin", 3, "https://"),
        ("connections:\n- {name: a, kind: jenkins, origin: https://a.b}", "connections[0].account", 3, "account"),
        ("connections:\n- {name: a, kind: http, origin: https://a.b, token: x}", "connections[0].token", 3, "secret"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_named_by_place_and_line_and_nothing_is_done(text, path, line, part):
    owner = the_first_owner()
    a_team("ledger")
    good = "environments:\n- {name: qa, kind: staging}\n"

    found = refused(owner, f"gmud: 1\n{text}\n{good}")

    assert path in found, found
    assert found[path][0] == line
    assert part in found[path][1]
    assert not Environment.objects.exists()


def test_a_circle_is_refused_with_the_way_around_it_and_one_that_is_here_already_is_not():
    owner = the_first_owner()
    one, two = a_service("one"), a_service("two")
    edges = "gmud: 1\ndependencies:\n" + "".join(
        f"- {{caller: {caller}, callee: {callee}, source: manual}}\n"
        for caller, callee in (("one", "two"), ("two", "one"))
    )

    found = refused(owner, edges)
    assert "one → two → one" in found["dependencies[0]"][1]

    for caller, callee in ((one, two), (two, one)):
        catalog.link(actor=SETUP, caller_id=caller.pk, callee_id=callee.pk, source=DependencySource.MANUAL, now=NOW)
    assert applied(owner, export(actor=owner)).is_empty


def test_ten_thousand_customers_with_one_bad_are_refused_by_its_name_and_none_is_written():
    owner = the_first_owner()
    a_service("cart")
    rows = [f"- {{name: Customer {n}, segment: retail, size: {n}, services: [cart]}}" for n in range(10_000)]
    rows[7_654] = "- {name: Customer 7654, segment: Retail Ltd, services: [cart]}"

    found = refused(owner, "\n".join(["gmud: 1", "customers:", *rows]))

    assert list(found) == ["customers[7654].segment"]
    assert found["customers[7654].segment"][0] == 7_657
    assert not Customer.objects.exists()


def test_what_one_may_not_edit_is_refused_by_its_place_and_who_may_nothing_sees_nothing():
    the_first_owner()
    manager = an_actor(Role.RELEASE_MANAGER)
    found = refused(manager, "gmud: 1\nenvironments:\n- {name: qa, kind: staging}\nteams:\n- {name: new}\n")
    assert list(found) == ["teams[0]"]
    assert Right.PEOPLE_EDIT.value in found["teams[0]"][1]
    assert not Environment.objects.exists()
    with pytest.raises(NotPermitted):
        export(actor=an_actor(Role.ENGINEER))
    with pytest.raises(NotPermitted):
        apply(actor=an_actor(Role.ENGINEER), text="gmud: 1\n", dry_run=True, now=NOW)


def test_a_file_gives_no_environment_the_name_that_a_policy_goes_by():
    owner = the_first_owner()
    row = an_environment("staging", EnvironmentKind.STAGING)
    everything = {"when": {}, "seats": {"seat_security": 1}}
    production = {**everything, "when": {"environment_kind": ["production"]}, "after_environment": "staging"}
    a_person("Helena Costa", Role.SEAT_SECURITY)
    committee.save_policy(actor=SETUP, name="First", rules=[everything, production], now=NOW)
    text = "gmud: 1\nenvironments:\n- {name: staging, kind: development}\n"
    Environment.objects.filter(pk=row.pk).update(name="staging-old")  # past the services, which refuse it

    assert "version 1 of the policy" in refused(owner, text)["environments[0].name"][1]
    assert not Environment.objects.filter(name="staging").exists()


def test_who_left_and_what_retired_is_not_called_back_by_a_file():
    owner = the_first_owner()
    row = a_service("old")
    catalog.retire(actor=SETUP, service_id=row.pk, now=NOW)

    assert "retired" in refused(owner, "gmud: 1\nservices:\n- {name: old}\n")["services[0]"][1]
    assert "old" not in export(actor=owner)


def test_a_secret_never_leaves_in_a_file():
    owner = the_first_owner()
    a_person("Ana")
    row = a_connection("ci")
    text = export(actor=owner)

    assert "canary" not in text
    assert row.secret_last4 not in text
