"""The page of the import: what files would do is seen, what is in doubt is answered, then exactly that is done."""

import re
import zlib
from base64 import b64encode
from hashlib import shake_256
from html import unescape

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from releases.accounts.roles import Role
from releases.catalog import queries
from releases.catalog.models import Dependency, Service
from releases.catalog.services import describe_service, register_service
from tests.factories.accounts import a_person, a_team, actor_of
from tests.factories.catalog import a_service

SERVICES = "name;team;title;tier\ncart;shop;Carrinho às pressas;web\npricing;shop;Pricing;core\n"
EDGES = "caller,callee\ncart,pricing\n"
HIDDEN = re.compile(r'name="(packed|plan|team)" value="([^"]*)"')


@pytest.fixture
def marta(house):
    return a_person("Marta Lima", Role.RELEASE_MANAGER, username="marta")


@pytest.fixture
def at_work(marta, browse):
    return browse(marta)


def upload(*texts: str | bytes, **more: str) -> dict[str, object]:
    data = [text if isinstance(text, bytes) else text.encode() for text in texts]
    names = ["services.csv", "edges.csv"]
    return {"file": [SimpleUploadedFile(name, one) for name, one in zip(names, data, strict=False)], **more}


def shown(browser, *texts, status=200, **more) -> str:
    answer = browser.post("/settings/import", upload(*texts, **more))
    assert answer.status_code == status
    return unescape(answer.content.decode())


def hidden(page: str) -> dict[str, str]:
    return dict(HIDDEN.findall(page))


def test_settings_and_catalog_lead_to_it_in_both_languages(at_work):
    assert 'href="/settings/import"' in at_work.get("/settings").content.decode()
    assert 'href="/settings/import"' in at_work.get("/catalog").content.decode()
    assert "Take over what other tools know" in at_work.get("/settings/import").content.decode()
    portuguese = at_work.get("/settings/import", headers={"Accept-Language": "pt-br"}).content.decode()
    assert "Traga o que outras ferramentas sabem" in portuguese


def test_nothing_is_written_before_the_plan_was_seen_and_then_exactly_that(at_work):
    page = shown(at_work, SERVICES.encode("latin-1"), EDGES)
    assert "Carrinho às pressas" in page
    assert "services.csv: CSV of services, 2 rows, separated by semicolons, in Latin-1" in page
    assert "Nobody knows this team yet" in page
    assert "count as hints until a team that owns one end confirms them" in page
    assert not Service.objects.filter(name="cart").exists()

    answer = at_work.post("/settings/import/apply", hidden(page), follow=True)
    assert "Imported: 4 things were written." in answer.content.decode()
    assert queries.service_named("cart").title == "Carrinho às pressas"
    assert Dependency.objects.get().source == "csv"

    again = shown(at_work, SERVICES.encode("latin-1"), EDGES)
    assert "The import changes nothing" in again
    assert "Apply exactly this" not in again


def test_a_conflict_is_asked_with_nothing_chosen_and_what_was_chosen_stays_chosen(at_work, marta, now):
    team = a_team("shop")
    register_service(actor=actor_of(marta), name="cart", title="Ours", tier="heart", team_id=team.pk, now=now)
    page = shown(at_work, SERVICES)
    assert "2 conflicts to decide" in page
    assert "Marta Lima wrote ours" in page
    assert "You decide above: title, tier." in page
    assert "checked" not in page

    half = {**hidden(page), "say:services/cart/title": "theirs"}
    answer = at_work.post("/settings/import/apply", half)
    missed = unescape(answer.content.decode())
    assert answer.status_code == 422
    assert missed.count("checked") == 1
    assert missed.count("Choose one.") == 1
    assert queries.service_named("cart").title == "Ours"

    done = at_work.post("/settings/import/apply", {**hidden(missed), **half, "say:services/cart/tier": "ours"})
    assert done.status_code == 302
    card = queries.service_named("cart")
    assert (card.title, card.tier) == ("Carrinho às pressas", "heart")


def test_an_answer_for_all_others_is_enough(at_work, marta, now):
    team = a_team("shop")
    register_service(actor=actor_of(marta), name="cart", title="Ours", tier="heart", team_id=team.pk, now=now)
    at_work.post("/settings/import/apply", {**hidden(shown(at_work, SERVICES)), "rest": "theirs"})
    assert queries.service_named("cart").tier == "web"


def test_a_plan_that_holds_no_longer_is_shown_anew_and_not_applied(at_work, now):
    page = shown(at_work, SERVICES)
    cart = a_service("cart", team=a_team("shop"))
    describe_service(actor=actor_of(a_person("Ana", Role.OWNER)), service_id=cart.pk, tier="heart", now=now)

    answer = at_work.post("/settings/import/apply", hidden(page))
    fresh = unescape(answer.content.decode())
    assert answer.status_code == 409
    assert "look at the new one" in fresh
    assert hidden(fresh)["plan"] != hidden(page)["plan"]
    assert "Ana wrote ours" in fresh
    assert not Service.objects.filter(name="pricing").exists()


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"packed": "x"},
        {"packed": "x", "plan": "sha256:0"},
        {"plan": "sha256:0"},
        {"packed": "eJwDAAAAAAE=", "plan": "x"},
    ],
)
def test_what_was_not_seen_is_not_applied(at_work, sent):
    assert at_work.post("/settings/import/apply", sent).status_code == 422


def test_what_is_wrong_is_named_and_the_text_stays_to_be_mended(at_work):
    text = "name,team,criticality\ncart,shop,9\n"
    answer = at_work.post("/settings/import", {"text": text, "team": "shop"})
    page = unescape(answer.content.decode())
    assert answer.status_code == 422
    assert "Write a whole number from 1 to 4." in page
    assert "pasted text, row 2, criticality" in page
    assert text in page
    portuguese = at_work.post("/settings/import", {"text": text}, headers={"Accept-Language": "pt-br"})
    assert "texto colado, linha 2, criticality" in portuguese.content.decode()


def test_of_very_many_problems_the_first_are_named_and_the_others_counted(at_work):
    page = shown(at_work, "name,team\n" + "X,shop\n" * 60, status=422)
    assert "and 10 more problems" in page


def test_ten_mebibytes_are_refused_in_words(at_work):
    assert "This is more than 2 MiB" in shown(at_work, b"a" * (10 * 1024 * 1024), status=422)


def test_a_file_that_no_page_can_carry_is_refused_in_words(at_work):
    dense = b64encode(shake_256(b"dense").digest(900_000)).decode()
    cells = [dense[begin : begin + 19_000] for begin in range(0, len(dense), 19_000)]
    rows = "".join(f"s-{n},shop,x{cell}\n" for n, cell in enumerate(cells))
    assert "more than a page can carry" in shown(at_work, "name,team,description\n" + rows, status=422)


@pytest.mark.parametrize("plain", ["[" * 100_000, '[["a.csv"]]', '[[7, "x"]]', "null", '[["a.csv", "\u0100"]]'])
def test_files_that_did_not_arrive_whole_are_refused_in_words(at_work, plain):
    packed = b64encode(zlib.compress(plain.encode())).decode()
    for path in ("/settings/import", "/settings/import/apply"):
        assert at_work.post(path, {"packed": packed, "plan": "x"}).status_code == 422


def test_a_plan_of_many_rows_shows_the_first_and_names_the_others(at_work):
    rows = "".join(f"s-{n},shop\n" for n in range(250))
    page = shown(at_work, "name,team\n" + rows)
    assert "and 50 more" in page
    assert "s-249" in page
    at_work.post("/settings/import/apply", hidden(page))
    assert Service.objects.filter(team__name="shop").count() == 250


def test_who_may_not_sees_whom_to_ask(house, browse):
    browser = browse(house.engineer)
    page = browser.get("/settings/import").content.decode()
    assert 'aria-disabled="true"' in page
    assert browser.post("/settings/import", {"text": EDGES}).status_code == 403
    assert browser.post("/settings/import/apply", {"packed": "x", "plan": "x"}).status_code in {403, 422}


def test_what_a_file_calls_a_thing_is_printed_and_never_run(at_work):
    answer = at_work.post("/settings/import", {"text": "name,segment\n<script>alert(1)</script>,retail\n"})
    assert answer.status_code == 200
    assert "<script>alert(1)" not in answer.content.decode()
