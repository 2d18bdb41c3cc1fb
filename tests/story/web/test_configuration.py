"""The page of the configuration: taken out, looked at as a plan, applied as it was seen."""

import re
from html import unescape

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from releases.accounts.roles import Role
from releases.catalog.models import Environment
from tests.factories.accounts import a_person
from tests.factories.catalog import an_environment

PLACES = "gmud: 1\nenvironments:\n- {name: qa, kind: staging, rank: 5}\n"
HIDDEN = re.compile(r'name="(packed|plan)" value="([^"]+)"')


@pytest.fixture
def at_work(house, browse):
    return browse(a_person("Olga Dias", Role.OWNER, username="olga"))


def planned(browser, text=PLACES):
    answer = browser.post("/settings/configuration", {"text": text})
    assert answer.status_code == 200
    return unescape(answer.content.decode())


def test_the_settings_lead_to_it_in_both_languages(at_work):
    assert 'href="/settings/configuration"' in at_work.get("/settings").content.decode()
    assert "Download gmud.yaml" in at_work.get("/settings/configuration").content.decode()
    portuguese = at_work.get("/settings/configuration", headers={"Accept-Language": "pt-br"}).content.decode()
    assert "Baixar gmud.yaml" in portuguese


def test_what_is_taken_out_changes_nothing_when_it_is_read_in(at_work):
    answer = at_work.get("/settings/configuration/export")
    assert answer["Content-Disposition"] == 'attachment; filename="gmud.yaml"'
    assert answer.content.startswith(b"gmud: 1\n")

    again = at_work.post("/settings/configuration", {"file": SimpleUploadedFile("gmud.yaml", answer.content)})
    assert "The file changes nothing" in again.content.decode()
    assert "Apply exactly this" not in again.content.decode()


def test_nothing_is_written_before_the_plan_was_seen_and_then_exactly_that(at_work):
    page = planned(at_work)
    assert "qa" in page
    assert "Nothing is written yet." in page
    assert not Environment.objects.filter(name="qa").exists()

    answer = at_work.post("/settings/configuration/apply", dict(HIDDEN.findall(page)), follow=True)
    assert "The file is applied: 1 thing was written." in answer.content.decode()
    assert Environment.objects.get(name="qa").rank == 5


def test_a_plan_that_holds_no_longer_is_shown_anew_and_not_applied(at_work):
    page = planned(at_work)
    an_environment("qa")

    answer = at_work.post("/settings/configuration/apply", dict(HIDDEN.findall(page)))
    assert answer.status_code == 409
    assert "look at the new one" in answer.content.decode()
    assert dict(HIDDEN.findall(answer.content.decode()))["plan"] != dict(HIDDEN.findall(page))["plan"]
    assert Environment.objects.get(name="qa").rank == 30


@pytest.mark.parametrize(
    "sent", [{"packed": "x"}, {"packed": "x", "plan": "sha256:0"}, {"plan": "sha256:0"}, {"packed": "eJwDAAAAAAE="}]
)
def test_what_was_not_seen_is_not_applied(at_work, sent):
    assert at_work.post("/settings/configuration/apply", sent).status_code in {422, 409}


def test_what_cannot_be_applied_is_named_and_the_text_stays_to_be_mended(at_work):
    answer = at_work.post("/settings/configuration", {"text": f"{PLACES}teams:\n- {{name: X}}\n"})
    page = unescape(answer.content.decode())

    assert answer.status_code == 422
    assert "Line 5: A name has lower-case letters" in page
    assert "teams[0].name" in page
    assert "- {name: X}" in page
    assert not Environment.objects.filter(name="qa").exists()


def test_nothing_sent_and_what_is_no_text_are_refused_in_words(at_work):
    assert at_work.post("/settings/configuration", {}).status_code == 422
    binary = SimpleUploadedFile("gmud.yaml", b"\xff\xfe\x00")
    assert "UTF-8" in at_work.post("/settings/configuration", {"file": binary}).content.decode()


def test_who_may_not_sees_whom_to_ask(house, browse):
    browser = browse(house.engineer)
    page = browser.get("/settings/configuration").content.decode()

    assert 'aria-disabled="true"' in page
    assert "can help" in page
    assert browser.get("/settings/configuration/export").status_code == 403
    assert browser.post("/settings/configuration", {"text": PLACES}).status_code == 403


def test_what_an_operator_called_a_service_is_printed_and_never_run(at_work):
    page = planned(at_work, "gmud: 1\ncustomers:\n- {name: '<script>alert(1)</script>', segment: retail}\n")

    assert (
        "<script>alert(1)"
        not in at_work.post(
            "/settings/configuration",
            {"text": "gmud: 1\ncustomers:\n- {name: '<script>alert(1)</script>', segment: a}\n"},
        ).content.decode()
    )
    assert "alert(1)" in page
