"""Files of other tools taken over: shown, asked where a person wrote otherwise, all or nothing, twice nothing."""

import io
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import models

from releases.accounts.models import Team
from releases.accounts.roles import Role
from releases.audit import queries as audit
from releases.audit.actor import Actor
from releases.catalog import queries, services
from releases.catalog.imports import applying
from releases.catalog.imports.applying import Unanswered
from releases.catalog.imports.files import File
from releases.catalog.imports.plan import Act, Answer, Plan
from releases.catalog.imports.said import Unfit
from releases.catalog.kinds import DependencySource
from releases.catalog.models import Customer, Dependency, Service
from releases.core.errors import Invalid, NotPermitted, Stale
from tests.factories.accounts import SETUP, a_team, an_actor
from tests.factories.catalog import a_service

pytestmark = pytest.mark.django_db
BANK = Path(__file__).parents[3] / "gmud" / "demo" / "data" / "bank-of-anthos"
SERVICES = "name,team,title,tier,criticality\ncart,shop,Cart,web,3\npricing,shop,Pricing,,2\n"
EDGES = "caller,callee,detail\ncart,pricing,prices\n"
CUSTOMERS = "name,segment,size,notice_hours,services\nAcme,retail,12,24,cart|pricing\n"
COMPONENT = """
apiVersion: backstage.io/v1alpha1
kind: Component
metadata: {name: cart}
spec: {type: website, lifecycle: production, owner: shop}
"""


@pytest.fixture
def manager() -> Actor:
    return an_actor(Role.RELEASE_MANAGER, name="Marta Lima")


def files(*texts: str) -> list[File]:
    return [
        File(f"{n}.csv" if "," in text.splitlines()[0] else f"{n}.yaml", text.encode()) for n, text in enumerate(texts)
    ]


def take(actor: Actor, now: Any, *texts: str, rest: Answer | None = None, **given: Any) -> Plan:
    given.setdefault("answers", {})
    return applying.apply(actor=actor, files=files(*texts), rest=rest, now=now, **given)


def look(actor: Actor, *texts: str, **given: Any) -> Plan:
    return applying.preview(actor=actor, files=files(*texts), **given)


def rows() -> dict[str, list[tuple[object, ...]]]:
    """Return every row of every table of the house."""
    tables: list[type[models.Model]] = list(apps.get_app_config("releases").get_models(include_auto_created=True))
    return {table.__name__: sorted(map(tuple, table._default_manager.values_list()), key=repr) for table in tables}


def flaws(error: pytest.ExceptionInfo[Unfit]) -> list[str]:
    return [str(one.told) for one in error.value.flaws]


def test_services_edges_customers_and_their_team_are_added_and_each_has_its_event(manager, now):
    plan = take(manager, now, SERVICES, EDGES, CUSTOMERS)

    assert plan.written == 5
    cart = queries.service_named("cart")
    assert (cart.team, cart.title, cart.tier, cart.criticality) == ("shop", "Cart", "web", 3)
    edge = Dependency.objects.get()
    assert (edge.source, edge.detail, edge.confirmed_at) == ("csv", "prices", None)
    acme = Customer.objects.get()
    assert (acme.size, acme.notice_hours) == (12, 24)
    assert {one.name for one in acme.services.all()} == {"cart", "pricing"}
    for row in (*Service.objects.all(), edge, acme):
        (told,) = audit.story(row.stream)
        assert (told.data["import"], told.actor_name) == ("csv", "Marta Lima")


def test_a_preview_writes_nothing(manager, now):
    before = rows()
    assert look(manager, SERVICES, EDGES, CUSTOMERS).count(Act.ADD) == 5
    assert rows() == before


def test_a_second_time_changes_nothing_not_even_an_event(manager, now):
    take(manager, now, SERVICES, EDGES, CUSTOMERS, COMPONENT.replace("cart", "till"))
    before = rows()
    again = take(manager, now, SERVICES, EDGES, CUSTOMERS, COMPONENT.replace("cart", "till"))
    assert again.is_empty
    assert again.written == 0
    assert rows() == before


def test_an_imported_edge_is_a_hint_until_its_owner_confirms_it(manager, now):
    take(manager, now, SERVICES, EDGES)
    pricing = queries.service_named("pricing")
    assert [one.is_fact for one in queries.dependents([pricing.id]).direct] == [False]

    services.confirm_dependency(actor=manager, dependency_id=Dependency.objects.get().pk, now=now)
    assert [one.is_fact for one in queries.dependents([pricing.id]).direct] == [True]
    assert look(manager, SERVICES, EDGES).is_empty


def test_a_denied_edge_stays_denied_and_it_is_said(manager, now):
    take(manager, now, SERVICES, EDGES)
    services.deny_dependency(actor=manager, dependency_id=Dependency.objects.get().pk, now=now)
    plan = take(manager, now, EDGES)
    assert [str(step.note) for step in plan.steps] == ["Somebody denied this edge: it stays denied."]
    assert Dependency.objects.get().denied_at is not None


def test_what_an_import_wrote_the_next_one_changes_without_asking(manager, now):
    take(manager, now, SERVICES)
    plan = take(manager, now, SERVICES.replace("Cart,web,3", "The cart,core,4"))
    (step,) = [one for one in plan.steps if one.act is Act.CHANGE]
    assert [(one.field, one.before, one.after) for one in step.fields] == [
        ("title", "Cart", "The cart"),
        ("tier", "web", "core"),
        ("criticality", 3, 4),
    ]
    assert queries.service_named("cart").tier == "core"
    assert [one.kind for one in audit.story(Service.objects.get(name="cart").stream)] == [
        "service.registered",
        "service.described",
    ]


def test_what_a_person_wrote_is_asked_and_never_overwritten_unasked(manager, now):
    take(manager, now, SERVICES)
    cart = Service.objects.get(name="cart")
    services.describe_service(actor=manager, service_id=cart.pk, tier="heart", now=now)
    before = rows()
    newer = SERVICES.replace("Cart,web,3", "Cart,core,4")

    plan = look(manager, newer)
    (asked,) = plan.conflicts
    assert (asked.name, asked.field, asked.ours, asked.theirs) == ("cart", "tier", "heart", "core")
    assert asked.edit.by == "Marta Lima"
    with pytest.raises(Unanswered) as caught:
        take(manager, now, newer, seen_digest=plan.digest)
    assert caught.value.ids == {asked.id}
    assert rows() == before


@pytest.mark.parametrize(("answer", "tier"), [(Answer.OURS, "heart"), (Answer.THEIRS, "core")])
def test_a_conflict_ends_as_it_is_answered(manager, now, answer, tier):
    take(manager, now, SERVICES)
    cart = Service.objects.get(name="cart")
    services.describe_service(actor=manager, service_id=cart.pk, tier="heart", now=now)
    newer = SERVICES.replace("Cart,web,3", "Cart,core,4")
    plan = look(manager, newer)
    take(manager, now, newer, answers={plan.conflicts[0].id: answer}, seen_digest=plan.digest)
    cart.refresh_from_db()
    assert (cart.tier, cart.criticality) == (tier, 4)  # what nobody wrote by hand changes either way
    assert [one.ours for one in look(manager, newer).conflicts] == (["heart"] if answer is Answer.OURS else [])


def test_one_answer_may_hold_for_all_conflicts_that_have_none(manager, now):
    team = a_team("shop")
    by_hand = {"actor": manager, "team_id": team.pk, "now": now}
    services.register_service(name="cart", title="Ours", tier="ours", **by_hand)
    plan = look(manager, SERVICES)
    assert {one.field for one in plan.conflicts} == {"title", "tier", "criticality"}
    take(manager, now, SERVICES, answers={"services/cart/title": Answer.THEIRS}, rest=Answer.OURS)
    cart = queries.service_named("cart")
    assert (cart.title, cart.tier, cart.criticality) == ("Cart", "ours", 2)


def test_an_empty_field_that_nobody_wrote_is_filled_without_asking(manager, now):
    services.register_service(actor=manager, name="cart", team_id=a_team("shop").pk, title="Cart", now=now)
    plan = look(manager, "name,tier\ncart,web\n")
    assert [one.after for step in plan.steps for one in step.fields] == ["web"]
    assert not plan.conflicts


def test_a_customer_that_a_person_edited_is_asked_too(manager, now):
    take(manager, now, SERVICES, CUSTOMERS)
    acme = Customer.objects.get()
    facts = {"name": acme.name, "segment": "retail", "notice_hours": 48, "size": 12}
    services.describe_customer(actor=manager, customer_id=acme.pk, service_ids=[], now=now, **facts)
    plan = look(manager, CUSTOMERS)
    assert {one.field: (one.ours, one.theirs) for one in plan.conflicts} == {
        "notice_hours": (48, 24),
        "services": ([], ["cart", "pricing"]),
    }
    take(manager, now, CUSTOMERS, rest=Answer.THEIRS)
    acme.refresh_from_db()
    assert acme.notice_hours == 24
    assert acme.services.count() == 2


def test_a_plan_that_holds_no_longer_is_not_applied(manager, now):
    plan = look(manager, SERVICES)
    a_service("cart", team=a_team("shop"))
    before = rows()
    with pytest.raises(Stale):
        take(manager, now, SERVICES, seen_digest=plan.digest)
    assert rows() == before


def test_ten_thousand_rows_with_a_bad_one_change_nothing_and_name_it(manager, now):
    before = rows()
    lines = [f"s-{n},shop,Service {n},web,2" for n in range(10_000)]
    lines[6_123] = "s-6123,shop,Service,web,9"
    with pytest.raises(Unfit) as caught:
        take(manager, now, "name,team,title,tier,criticality\n" + "\n".join(lines))
    assert flaws(caught) == ["0.csv, row 6125, criticality: Write a whole number from 1 to 4."]
    assert rows() == before


def test_what_is_added_in_batches_is_the_same_as_one_by_one(manager, now):
    lines = "".join(f"s-{n:04},shop-{n % 3},Service {n},web,2\n" for n in range(1_200))
    edges = "".join(f"s-{n:04},s-{n + 1:04},\n" for n in range(1_199))
    plan = take(manager, now, "name,team,title,tier,criticality\n" + lines, "caller,callee,detail\n" + edges)
    assert plan.written == 1_200 + 3 + 1_199
    assert {len(audit.story(row.stream)) for row in Service.objects.all()[::100]} == {1}
    assert look(manager, "name,team,title,tier,criticality\n" + lines).is_empty


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (("name,team\ncart,shop\n", EDGES), "1.csv, row 2, callee: There is no service pricing, here or in the files"),
        (
            (SERVICES, "caller,callee\ncart,pricing\npricing,cart\n"),
            "1.csv, row 2, callee: These services would depend on each other in a circle (cart → pricing → cart)",
        ),
        ((SERVICES, "caller,callee\ncart,cart\n"), "1.csv, row 2, callee: A service does not depend on itself"),
        (("name,title\ncart,Cart\n",), "0.csv, row 2, team: Nobody owns this service"),
        (
            (COMPONENT.replace("shop", "user:default/ana"),),
            "0.yaml, document 1, spec.owner: Nobody owns this service",
        ),
        ((SERVICES, COMPONENT), "1.yaml, document 1, metadata.name: cart was described before, in 0.csv, row 2"),
        (("name,segment\nAcme,\n",), "0.csv, row 2, segment: This is missing"),
        ((CUSTOMERS,), "0.csv, row 2, services: There is no service cart"),
    ],
)
def test_what_the_files_cannot_mean_is_named_and_nothing_is_written(manager, now, texts, told):
    before = rows()
    with pytest.raises(Unfit) as caught:
        take(manager, now, *texts)
    assert flaws(caught)[0].startswith(told)
    assert rows() == before


def test_a_circle_that_is_here_already_is_nobodys_slip(manager, now):
    take(manager, now, SERVICES, EDGES)
    ids = {row.name: row.pk for row in Service.objects.all()}
    from_manual = {"caller_id": ids["pricing"], "callee_id": ids["cart"], "now": now}
    services.link(actor=SETUP, source=DependencySource.MANUAL, **from_manual)
    assert look(manager, SERVICES, EDGES).is_empty


def test_an_unknown_team_is_part_of_the_plan_and_one_that_looks_like_a_slip_is_asked_for(manager):
    a_team("payments")
    plan = look(manager, "name,team\ncart,paymnts\ntill,shop\n")
    notes = {step.name: str(step.note) for step in plan.steps if step.section == "teams"}
    assert "is it payments?" in notes["paymnts"]
    assert notes["shop"] == "Nobody knows this team yet: it is added, without members."
    assert not Team.objects.filter(name="shop").exists()


def test_a_team_may_be_chosen_for_new_services_that_name_none(manager, now):
    a_service("old", team=a_team("ledger"))
    take(manager, now, "name,title\nold,Old\nnew,New\n", default_team="shop", rest=Answer.OURS)
    assert queries.service_named("new").team == "shop"
    assert queries.service_named("old").team == "ledger"
    with pytest.raises(Invalid):
        look(manager, "name,title\nnewer,New\n", default_team="The Shop")


def test_a_retired_service_stays_as_it_is_and_it_is_said(manager, now):
    cart = a_service("cart", team=a_team("shop"), title="Cart")
    services.retire(actor=SETUP, service_id=cart.pk, now=now)
    plan = look(manager, SERVICES)
    (step,) = [one for one in plan.steps if one.name == "cart"]
    assert (step.act, str(step.note)) == (Act.KEEP, "It is retired here, and stays as it is.")


def test_what_the_files_no_longer_say_stays_and_is_told(manager, now):
    take(manager, now, SERVICES, EDGES)
    plan = take(manager, now, "name,team\ncart,shop\ntill,shop\n", "caller,callee\ncart,till\n")
    left = [str(one) for one in plan.left]
    assert "1 service that is here is not in the files, and stays: pricing." in left
    assert "cart → pricing is no longer in the files, and stays: deny it if it is gone." in left
    assert Dependency.objects.count() == 2


def test_manifests_are_taken_over_from_files_as_from_a_folder(manager, now):
    given = [File(path.name, path.read_bytes()) for path in sorted(BANK.rglob("*.yaml"))]
    given = [one for one in given if not one.name.startswith("kustomization")]
    applying.apply(actor=manager, files=given, answers={}, now=now)
    assert Service.objects.count() == 9
    assert Dependency.objects.count() == 15
    out = io.StringIO()
    call_command("catalog", "import-kubernetes", str(BANK), stdout=out)
    assert out.getvalue().strip() == "Nothing is new."


def test_only_those_who_edit_the_catalogue_import(now):
    engineer = an_actor(Role.ENGINEER)
    with pytest.raises(NotPermitted):
        look(engineer, SERVICES)
    with pytest.raises(NotPermitted):
        take(engineer, now, SERVICES)
    assert not Service.objects.exists()


def shell(*arguments: str) -> str:
    out = io.StringIO()
    call_command("catalog", "import", *arguments, stdout=out)
    return out.getvalue()


def test_the_shell_does_the_same(tmp_path, manager, now):
    (tmp_path / "s.csv").write_text(SERVICES)
    (tmp_path / "c.yaml").write_text(COMPONENT.replace("cart", "till"))
    paths = [str(tmp_path / "s.csv"), str(tmp_path / "c.yaml")]
    dry = shell(*paths, "--dry-run")
    assert "add services cart" in dry
    assert "nothing was written" in dry
    assert not Service.objects.exists()
    assert "4 things were written." in shell(*paths)
    assert "Nothing is new." in shell(*paths)


def test_in_the_shell_conflicts_are_answered_for_all_or_not_at_all(tmp_path, manager, now):
    take(manager, now, SERVICES)
    services.describe_service(actor=manager, service_id=queries.service_named("cart").id, tier="heart", now=now)
    (tmp_path / "s.csv").write_text(SERVICES)
    path = str(tmp_path / "s.csv")
    with pytest.raises(CommandError, match="--keep-ours or --take-theirs"):
        shell(path)
    assert "0 things" in shell(path, "--keep-ours")
    assert "1 things were written." in shell(path, "--take-theirs")
    assert queries.service_named("cart").tier == "web"


def test_in_the_shell_every_problem_is_named(tmp_path):
    (tmp_path / "s.csv").write_text("name,team\nCart,shop\nb,My Shop\n")
    with pytest.raises(CommandError) as caught:
        shell(str(tmp_path / "s.csv"))
    assert "s.csv, row 2, name: A name has" in str(caught.value)
    assert "s.csv, row 3, team: A name has" in str(caught.value)
    with pytest.raises(CommandError, match=r"gone\.csv cannot be read"):
        shell(str(tmp_path / "gone.csv"))
