"""What customers asked for and were promised, and what is left of an error budget, as the pages show it."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.utils import timezone

from releases.accounts.roles import Role
from releases.calendar.models import Window
from releases.catalog.cards import BUDGET_HOLDS
from releases.changes import services as changes
from releases.changes.models import CustomerNotice
from releases.changes.states import State
from tests.factories.accounts import a_person
from tests.factories.calendar import a_freeze_for
from tests.factories.catalog import a_budget, a_customer
from tests.factories.changes import a_change, tell

LANGUAGES = ("en", "pt-br")


@pytest.fixture
def banks(house):
    return a_customer(house.service, name="Partner banks", notice_hours=72)


@pytest.fixture
def change(house, banks):
    return a_change(house, at=State.SCHEDULED, filed_at=house.now - timedelta(hours=80))


def in_words(answer):
    return unescape(" ".join(answer.content.decode().split()))


def seen(browser, path):
    """Return what the form carries unseen: the digest of what customers are told."""
    return re.search(r'name="seen_digest" value="([^"]+)"', browser.get(path).content.decode()).group(1)


def moment(at):
    return timezone.localtime(at).strftime("%Y-%m-%dT%H:%M")


# --- freezes, on the page of the customer ---


@pytest.mark.parametrize(("of", "segment"), [("customer", ""), ("segment", "partner")])
def test_a_freeze_is_set_for_a_customer_or_its_segment_and_lifted_again(house, browse, banks, now, of, segment):
    browser, path = browse(house.manager), f"/settings/customers/{banks.pk}"
    asked = {"of": of, "title": "Payroll day", "starts_at": moment(now), "ends_at": moment(now + timedelta(days=1))}

    assert browser.post(f"{path}/freeze", asked).status_code == 302

    row = Window.objects.get()
    assert (row.customer_id, row.segment) == (None if segment else banks.pk, segment)
    page = in_words(browser.get(path))
    assert "Payroll day" in page
    assert "Holds now" in page
    assert ("for every customer of partner" in page) is bool(segment)
    assert f"{path}/lift?freeze={row.pk}" in page
    assert browser.post(f"{path}/lift", {"freeze": str(row.pk)}).status_code == 302
    row.refresh_from_db()
    assert row.lifted_at is not None
    page = in_words(browser.get(path))
    assert "Holds now" not in page
    assert "Marta Sá lifted the freeze Payroll day." in page


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("verb", ["freeze", "lift"])
def test_the_forms_are_shown_in_both_languages(house, browse, banks, verb, language):
    a_freeze_for(customer_id=banks.pk)

    path = f"/settings/customers/{banks.pk}/{verb}"

    assert browse(house.manager).get(path, headers={"Accept-Language": language}).status_code == 200


def test_a_freeze_that_ends_before_it_starts_is_refused_at_its_field(house, browse, banks, now):
    asked = {"of": "customer", "title": "Payroll day", "starts_at": moment(now), "ends_at": moment(now)}

    answer = browse(house.manager).post(f"/settings/customers/{banks.pk}/freeze", asked)

    assert answer.status_code == 422
    assert 'id="ends_at-error"' in in_words(answer)


def test_who_may_not_freeze_is_told_whom_to_ask(house, browse, banks):
    browser = browse(a_person("Olga Prado", Role.OWNER))
    path = f"/settings/customers/{banks.pk}"

    assert browser.get(f"{path}/freeze").status_code == 403
    assert f"{path}/freeze" not in in_words(browser.get(path))
    assert f"{path}/edit" in in_words(browser.get(path))


def test_today_says_whose_freeze_it_is(house, browse, banks, now):
    span = {"starts_at": now, "ends_at": now + timedelta(hours=3), "now": now}
    a_freeze_for(customer_id=banks.pk, **span)
    a_freeze_for(segment="partner", **span)

    page = in_words(browse(house.engineer).get("/"))

    assert "Freeze, Partner banks" in page
    assert "Freeze, customers of partner" in page


# --- notice, on the page of the change ---


def test_the_change_names_who_must_hear_of_it_and_leads_to_the_form(house, browse, change):
    browser = browse(house.engineer)

    page = in_words(browser.get(f"/changes/{change.number}"))

    assert "Partner banks must hear of it 72 hours before, and nobody has told them." in page
    assert f'href="/changes/{change.number}/told"' in page
    assert "customer_notice_missing" in page


def test_a_notice_is_recorded_on_its_page_and_shown_on_the_change(house, browse, change, banks, now):
    browser, path = browse(house.engineer), f"/changes/{change.number}/told"
    asked = {
        "customer": str(banks.pk),
        "seen_digest": seen(browser, path),
        "told_at": moment(now - timedelta(hours=80)),
        "told_by": "Ana Reis",
        "evidence": "MAIL-4711",
    }

    answer = browser.post(path, asked)

    assert (answer.status_code, answer.headers["Location"]) == (302, f"/changes/{change.number}")
    notice = CustomerNotice.objects.get()
    assert (notice.customer, notice.recorded_by) == (banks, "Ana Reis")
    page = in_words(browser.get(f"/changes/{change.number}"))
    assert "told by Ana Reis: MAIL-4711" in page
    assert "Ana Reis recorded that a customer was told." in page
    assert "customer_notice_missing" not in page


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_form_is_shown_in_both_languages_to_who_may_file_and_the_reason_to_others(house, browse, change, language):
    for who, has_form in ((house.engineer, True), (house.security, False)):
        answer = browse(who).get(f"/changes/{change.number}/told", headers={"Accept-Language": language})
        assert answer.status_code == 200
        assert ('name="evidence"' in in_words(answer)) is has_form


def test_what_is_missing_is_said_at_its_field(house, browse, change, banks, now):
    asked = {"customer": "", "told_at": moment(now + timedelta(hours=1)), "told_by": "", "evidence": ""}
    browser, path = browse(house.engineer), f"/changes/{change.number}/told"
    asked["seen_digest"] = seen(browser, path)

    empty = browser.post(path, asked)
    ahead = browser.post(path, {**asked, "customer": str(banks.pk), "told_by": "Ana", "evidence": "MAIL-1"})

    assert [empty.status_code, ahead.status_code] == [422, 400]
    for field in ("customer", "told_by", "evidence"):
        assert f'id="{field}-error"' in in_words(empty)
    assert 'id="told_at-error"' in in_words(ahead)
    assert not CustomerNotice.objects.exists()


def test_what_became_another_thing_while_the_form_was_open_is_shown_again_and_not_recorded(
    house, browse, change, banks, now
):
    browser, path = browse(house.engineer), f"/changes/{change.number}/told"
    asked = {"customer": str(banks.pk), "told_at": moment(now), "told_by": "Ana", "evidence": "MAIL-1"}
    asked["seen_digest"] = seen(browser, path)
    item = change.items.get()
    one = changes.ItemDraft(item.service.name, "production", item.artifact.version, item.artifact.digest)
    window = {"starts_at": change.starts_at, "ends_at": change.ends_at + timedelta(minutes=1)}
    edited = changes.ChangeDraft(title=change.title, items=(one,), **window)
    changes.revise(change_id=change.pk, actor=house.actor("engineer"), fields=edited, now=house.now)

    answer = browser.post(path, asked)

    assert answer.status_code == 409
    assert "are others by now" in in_words(answer)
    assert not CustomerNotice.objects.exists()
    assert seen(browser, path) != asked["seen_digest"]


def test_whoever_may_not_file_records_nothing(house, browse, change, banks, now):
    asked = {"customer": str(banks.pk), "told_at": moment(now), "told_by": "Helena", "evidence": "MAIL-1"}

    assert browse(house.security).post(f"/changes/{change.number}/told", asked).status_code == 403
    assert not CustomerNotice.objects.exists()


def test_a_notice_of_another_window_is_shown_as_void(house, browse, change, banks):
    tell(house, change, banks)
    item = change.items.get()
    draft = changes.ChangeDraft(
        title=change.title,
        items=(changes.ItemDraft(item.service.name, "production", item.artifact.version, item.artifact.digest),),
        starts_at=change.starts_at + timedelta(minutes=1),
        ends_at=change.ends_at,
    )
    changes.revise(change_id=change.pk, actor=house.actor("engineer"), fields=draft, now=house.now)

    page = in_words(browse(house.engineer).get(f"/changes/{change.number}?part=told"))

    assert "1 notice that counts no longer" in page
    assert "nobody has told them" in page


def test_where_nobody_was_promised_anything_there_is_nothing_to_record(house, browse):
    change = a_change(house, at=State.SCHEDULED)
    browser = browse(house.engineer)

    assert "/told" not in in_words(browser.get(f"/changes/{change.number}"))
    assert browser.get(f"/changes/{change.number}/told").status_code == 404


# --- error budgets, on the page of the service ---


@pytest.mark.parametrize(
    ("left", "age", "said"),
    [
        (None, None, "production: not known, it was never read"),
        (0.42, timedelta(minutes=1), "production: 42 % left"),
        (0.0, timedelta(minutes=1), "production: spent, only an emergency may go"),
        (0.42, BUDGET_HOLDS + timedelta(minutes=1), "production: not known, the last reading (42 %) is too old"),
    ],
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_service_says_what_is_left_of_its_budget(house, browse, now, left, age, said, language):
    a_budget(house.service, house.environment, left=left, now=now - (age or timedelta()))

    page = in_words(browse(house.engineer).get(f"/catalog/{house.service.name}", headers={"Accept-Language": language}))

    assert (said in page) is (language == "en")
    assert ("read through budgets" in page) is (language == "en")


def test_a_budget_is_bound_in_the_settings_with_its_query_alone(house, browse):
    row = a_budget(house.service, house.environment)
    browser = browse(house.manager)

    page = in_words(browser.get(f"/settings/bindings/{row.pk}"))
    form = in_words(browser.get(f"/settings/bindings/{row.pk}/edit"))

    assert "budgets tells what is left of the error budget of ledgerwriter in production" in page
    assert 'name="query"' in form
    assert 'name="limit"' not in form
