"""The page of notices, the pages one is called for on Today, and the channels in the settings."""

import re
from datetime import time

import pytest

from releases.core.errors import Sentence
from releases.notify import services
from releases.notify.kinds import ChannelKind, Topic
from releases.notify.models import Channel, Notice, Subscription
from releases.notify.rules import at_choice
from tests.factories.catalog import a_service
from tests.factories.notify import SLACK_PATH, a_channel, told

HOSTILE = "<script>alert(1)</script>"
SLACK = f"https://hooks.slack.com{SLACK_PATH}"


@pytest.fixture(autouse=True)
def _ring(tmp_path, settings):
    settings.GMUD_KEYS = str(tmp_path)


def text_of(answer) -> str:
    return re.sub(r"\s+", " ", answer.content.decode())


def choice(**changed) -> dict:
    fields = {"topics": [topic.value for topic in at_choice()], "digest": "at_once", "time_zone": ""}
    return {**fields, **changed}


@pytest.mark.parametrize("language", ["en", "pt-br"])
def test_i_read_what_i_was_told_and_how_it_stands(house, browse, now, language):
    told(house.on_call, now=now, reason=Sentence("%(name)s waits.", {"name": HOSTILE}), link="/changes/7")
    told(house.on_call, now=now, topic=Topic.NEEDS_HUMAN, reason=Sentence("The work waits."))
    told(house.manager, now=now, reason=Sentence("Not for Davi."))

    answer = browse(house.on_call).get("/notices", headers={"Accept-Language": language})

    text = text_of(answer)
    assert answer.status_code == 200
    assert "&lt;script&gt;" in text
    assert "<script>alert" not in text
    assert 'href="/changes/7"' in text
    assert "Not for Davi." not in text
    assert text.count('action="/notices/') == 4  # a test, the choice, a service to mute, and one page to take
    assert ("Assumir" in text or "Eu assumo" in text) if language == "pt-br" else "I take it" in text


def test_who_is_called_reads_it_on_today_and_takes_it_there(house, browse, now):
    case = told(house.on_call, house.manager, now=now, topic=Topic.NEEDS_HUMAN, reason=Sentence("The work waits."))
    notice = Notice.objects.get(case=case, person=house.on_call)
    browser = browse(house.on_call)

    today = text_of(browser.get("/"))
    assert "You are called for 1 thing" in today
    assert "called: Davi Nunes and Marta Sá" in today
    answer = browser.post(f"/notices/{notice.pk}/take", {"back": "today"})

    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert "You are called" not in text_of(browser.get("/?part=called")).replace('id="called">You are called', "")
    assert set(Notice.objects.filter(case=case).values_list("state", flat=True)) == {"acknowledged"}


def test_nobody_else_is_told_of_it_or_may_take_it(house, browse, now):
    case = told(house.on_call, now=now, topic=Topic.NEEDS_HUMAN, reason=Sentence("The work waits."))
    browser = browse(house.engineer)

    assert "The work waits." not in text_of(browser.get("/"))
    answer = browser.post(f"/notices/{Notice.objects.get(case=case).pk}/take")
    assert answer.status_code == 403
    assert "Ask somebody on call." in text_of(answer)
    assert browser.get(f"/notices/{Notice.objects.get(case=case).pk}/take").status_code == 405


def test_i_choose_what_i_hear_and_when(house, browse):
    fields = choice(
        topics=["vote_needed"], digest="hour", quiet_from="22:00", quiet_until="07:00", time_zone="Asia/Kolkata"
    )

    answer = browse(house.engineer).post("/notices/choice", fields, follow=True)

    assert "Saved." in text_of(answer)
    row = Subscription.objects.get(person=house.engineer)
    assert (row.topics, row.digest, row.quiet_from, row.quiet_until) == (["vote_needed"], "hour", time(22), time(7))
    shown = text_of(browse(house.engineer).get("/notices"))
    assert 'value="22:00"' in shown
    assert 'value="Asia/Kolkata"' in shown


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"time_zone": "Mars/Olympus"}, "Name a time zone"),
        ({"quiet_from": "22:00"}, "Quiet hours have a beginning and an end."),
        ({"digest": "never"}, "not one of the available choices"),
        ({"topics": ["needs_human"]}, "not one of the available choices"),
        ({"quiet_from": "25:00", "quiet_until": "07:00"}, "Enter a valid time"),
    ],
)
def test_a_choice_that_cannot_be_is_said_at_its_field(house, browse, wrong, said):
    answer = browse(house.engineer).post("/notices/choice", choice(**wrong))

    assert answer.status_code == 422
    assert said in text_of(answer)
    assert not Subscription.objects.exists()


def test_i_mute_a_service_and_hear_it_again(house, browse):
    a_service("contacts")
    browser = browse(house.engineer)

    assert "Muted." in text_of(browser.post("/notices/mute", {"service": "contacts"}, follow=True))
    assert 'name="service" value="contacts"' in text_of(browser.get("/notices"))
    assert "You hear of it again." in text_of(browser.post("/notices/unmute", {"service": "contacts"}, follow=True))
    refused = browser.post("/notices/mute", {"service": HOSTILE})
    assert refused.status_code == 404
    assert "<script>alert" not in text_of(refused)


def test_without_a_mail_server_the_page_says_so_and_the_test_stands_there(house, browse):
    browser = browse(house.engineer)

    assert "This installation sends no e-mail" in text_of(browser.get("/notices"))
    answer = browser.post("/notices/test", follow=True)

    assert "This is a test: notices reach you, Ana Reis." in text_of(answer)


def test_who_has_no_address_is_told_whom_to_ask(house, browse, settings):
    settings.GMUD_SMTP, settings.GMUD_MAIL_FROM = {"host": "127.0.0.1", "port": 1}, "GMUD <gmud@example.com>"
    type(house.engineer).objects.filter(pk=house.engineer.pk).update(email="")

    assert "No e-mail address is known of you." in text_of(browse(house.engineer).get("/notices"))


def test_reading_costs_the_same_queries_for_one_notice_and_for_many(house, browse, now, django_assert_max_num_queries):
    browser = browse(house.on_call)
    for number in range(40):
        told(house.on_call, now=now, topic=Topic.NEEDS_HUMAN if number % 2 else Topic.APPROVED)

    with django_assert_max_num_queries(40):
        browser.get("/notices")


def add(browser, **fields):
    asked = {"name": "ops", "kind": "slack", "address": SLACK, "topics": ["needs_human"], "digest": "at_once"}
    return browser.post("/settings/channels/add", {**asked, **fields}, follow=True)


def test_a_channel_is_added_and_its_key_is_shown_nowhere(house, browse):
    browser = browse(house.manager)

    answer = add(browser)

    channel = Channel.objects.get()
    shown = (
        text_of(answer)
        + text_of(browser.get("/settings/channels"))
        + text_of(browser.get(f"/settings/channels/{channel.pk}"))
    )
    edit = text_of(browser.get(f"/settings/channels/{channel.pk}/edit"))
    assert answer.status_code == 200
    assert "https://hooks.slack.com/…" in shown
    assert "canary-slack" not in shown + edit
    assert "added the channel" in shown


def test_a_wrong_address_is_said_at_the_field_and_not_shown_again(house, browse):
    answer = add(browse(house.manager), address="https://169.254.169.254/latest/canary")

    assert answer.status_code == 422
    assert "a private address outside GMUD_OUTBOUND_NETWORKS" in text_of(answer)
    assert "canary" not in text_of(answer)


def test_the_secret_of_a_webhook_is_made_and_shown_once(house, browse):
    browser = browse(house.manager)

    answer = add(browser, kind="webhook", address="https://hooks.example.com/in")

    [secret] = set(re.findall(r"whsec_[A-Za-z0-9+/=]{20,}", text_of(answer)))
    channel = Channel.objects.get()
    again = text_of(browser.get(f"/settings/channels/{channel.pk}"))
    assert secret not in again
    assert f"ends in {secret[-4:]}" in again


def test_a_channel_is_edited_tried_and_removed(house, browse, now):
    channel = a_channel(ChannelKind.SLACK, Topic.APPROVED)
    browser = browse(house.manager)
    place = f"/settings/channels/{channel.pk}"

    edited = browser.post(f"{place}/edit", {"name": "renamed", "topics": ["rejected"], "digest": "day"}, follow=True)
    tried = browser.post(f"{place}/test", follow=True)
    removed = browser.post(f"{place}/remove", follow=True)

    channel.refresh_from_db()
    assert [answer.status_code for answer in (edited, tried, removed)] == [200, 200, 200]
    assert "changed the channel" in text_of(edited)
    assert Notice.objects.filter(channel=channel, topic=Topic.TEST).count() == 1
    assert channel.removed_at
    assert not Subscription.objects.exists()
    assert browser.get(place).status_code == 404


@pytest.mark.parametrize("who", ["engineer", "security"])
def test_who_may_not_edit_sees_channels_and_whom_to_ask(house, browse, who):
    channel = a_channel(ChannelKind.SLACK, Topic.APPROVED)
    browser = browse(getattr(house, who))

    page = browser.get(f"/settings/channels/{channel.pk}")
    assert page.status_code == 200
    assert 'aria-disabled="true"' in text_of(page)
    assert "Marta Sá" in text_of(page)
    assert add(browser).status_code == 403
    assert browser.post(f"/settings/channels/{channel.pk}/remove").status_code == 403


def test_a_channel_that_fails_says_why_on_its_page(house, browse, now):
    channel = a_channel(ChannelKind.SLACK, Topic.APPROVED, origin="http://127.0.0.1:1")
    told(now=now)
    services.send_due(now=lambda: now)

    text = text_of(browse(house.manager).get(f"/settings/channels/{channel.pk}"))

    assert "did not answer" in text
