"""Shared channels: Slack, Teams and signed webhooks as they see us, and secrets that go nowhere else."""

import socket
from datetime import timedelta

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection as database

from gmud.sandbox.server import Fault, running
from releases.accounts.roles import Role
from releases.audit import queries as audit
from releases.catalog import secrets
from releases.core import breaker
from releases.core.errors import Invalid, Missing, NotPermitted, Sentence
from releases.notify import services
from releases.notify.kinds import ChannelKind, Topic
from releases.notify.models import Channel, Notice
from releases.notify.services import ChannelDraft, Wanted
from releases.notify.webhook.adapter import new_secret
from releases.operations.models import OutboxMessage
from tests.factories.accounts import SETUP, a_person, a_team, an_actor
from tests.factories.catalog import a_service
from tests.factories.notify import (
    SLACK_PATH,
    TEAMS_PATH,
    Listener,
    a_channel,
    an_occasion,
    states,
    told,
    verified,
)

pytestmark = pytest.mark.django_db

HOSTILE = "<!channel> <https://evil.example.com|click> & *bold* [x](https://evil.example.com)"


@pytest.fixture(autouse=True)
def _closed_breakers():
    breaker._breakers.clear()


def send(clock) -> int:
    return services.send_due(now=clock)


def change(channel: Channel, now, **fields) -> tuple[Channel, str]:
    """Change a channel, keeping its name and what it hears."""
    topics = frozenset(Topic(topic) for topic in channel.subscription.topics)
    draft = ChannelDraft(
        **{"name": channel.name, "kind": ChannelKind(channel.kind), "wanted": Wanted(topics), **fields}
    )
    return services.change_channel(actor=SETUP, channel_id=channel.pk, fields=draft, now=now)


def test_slack_gets_text_and_blocks_in_which_nothing_of_a_title_is_a_sign_of_slack(clock):
    listener = Listener()
    with running(listener) as origin:
        a_channel(ChannelKind.SLACK, Topic.APPROVED, origin=origin)
        case = told(reason=Sentence("%(title)s waits.", {"title": HOSTILE}), lines=(Sentence("One line."),))
        send(clock)

    [call], [body] = listener.heard, listener.bodies()
    assert (call.method, call.path, call.headers["content-type"]) == ("POST", SLACK_PATH, "application/json")
    said = body["blocks"][0]["text"]
    assert said["type"] == "mrkdwn"
    assert "&lt;!channel&gt; &lt;https://evil.example.com|click&gt; &amp;" in said["text"]
    assert said["text"].count("<") == 1
    assert "One line." in said["text"]
    assert "&lt;!channel&gt;" in body["text"]
    assert states(case) == ["sent"]


def test_teams_gets_a_card_in_which_nothing_of_a_title_is_markdown(clock):
    listener = Listener(status=202, body="")
    with running(listener) as origin:
        a_channel(ChannelKind.TEAMS, Topic.APPROVED, origin=origin)
        case = told(reason=Sentence("%(title)s waits.", {"title": HOSTILE}))
        send(clock)

    [call], [body] = listener.heard, listener.bodies()
    assert f"{call.path}?sig={call.first('sig')}" == TEAMS_PATH
    [attachment] = body["attachments"]
    card = attachment["content"]
    assert body["type"] == "message"
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.2")
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}
    assert card["body"][0]["inlines"][0]["text"] == f"{HOSTILE} waits."
    assert [action["type"] for action in card["actions"]] == ["Action.OpenUrl"]
    assert states(case) == ["sent"]


def test_teams_that_says_yes_and_means_no_gets_it_again(clock):
    throttled = "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429"
    listener = Listener(body=throttled)
    with running(listener) as origin:
        a_channel(ChannelKind.TEAMS, Topic.APPROVED, origin=origin)
        case = told()
        send(clock)
        assert states(case) == ["pending"]
        listener.body = "1"
        clock.tick(minutes=1)
        send(clock)

    assert states(case) == ["sent"]


def test_a_webhook_gets_signed_events_one_by_one_and_word_of_what_is_settled(clock):
    listener, secret = Listener(), new_secret()
    with running(listener) as origin:
        a_channel(ChannelKind.WEBHOOK, Topic.VOTE_NEEDED, origin=origin, secret=secret)
        asked = [an_occasion(Topic.VOTE_NEEDED, reason=Sentence("A vote — é needed.")) for _ in range(2)]
        for one in asked:
            services.tell(occasion=one, people=[], now=clock())
        send(clock)
        services.withdraw(case=asked[0].case, now=clock.tick(minutes=1))
        send(clock)

    first, second, third = (verified(call, secret) for call in listener.heard)
    ids = [call.headers["webhook-id"] for call in listener.heard]
    assert [one["type"] for one in (first, second, third)] == ["notice.told", "notice.told", "notice.settled"]
    assert {first["data"]["case"], second["data"]["case"]} == {one.case for one in asked}
    assert third["data"]["id"] in ids[:2]
    assert len(set(ids)) == 3
    assert first["data"]["reason"] == "A vote — é needed."
    assert first["data"]["url"].startswith("http")
    assert all(len(call.body) < 20_000 for call in listener.heard)


def test_every_try_has_the_same_id_and_the_time_of_its_own(clock):
    listener, secret = Listener(status=500), new_secret()
    with running(listener) as origin:
        a_channel(ChannelKind.WEBHOOK, Topic.APPROVED, origin=origin, secret=secret)
        told()
        send(clock)
        listener.status = 204
        clock.tick(minutes=1)
        send(clock)

    first, second = listener.heard
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 60
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]
    assert verified(first, secret) == verified(second, secret)


def test_a_new_secret_and_the_one_before_it_sign_for_a_day(clock):
    listener, old, new = Listener(), new_secret(), new_secret()
    with running(listener) as origin:
        channel = a_channel(ChannelKind.WEBHOOK, Topic.APPROVED, origin=origin, secret=old)
        change(channel, clock(), secret=new)
        told()
        send(clock)
        clock.tick(hours=24)
        told(now=clock())
        send(clock)

    during, after = listener.heard
    assert verified(during, old) == verified(during, new)
    assert verified(after, new)
    with pytest.raises(AssertionError):
        verified(after, old)


def test_a_secret_is_made_when_none_is_given_and_shown_once(clock):
    draft = ChannelDraft(name="events", kind=ChannelKind.WEBHOOK, address="https://hooks.example.com/in")

    channel, shown = services.open_channel(actor=SETUP, fields=draft, now=clock())

    assert shown.startswith("whsec_")
    assert secrets.opened(channel) == shown
    assert change(channel, clock())[1] == ""


def test_no_secret_of_a_channel_stands_in_a_table_or_the_record(clock):
    secret = new_secret()
    channels = [
        a_channel(ChannelKind.SLACK, Topic.APPROVED),
        a_channel(ChannelKind.TEAMS, Topic.APPROVED),
        a_channel(ChannelKind.WEBHOOK, Topic.APPROVED, secret=secret),
    ]
    told()
    send(clock)

    tables = "".join(
        str(list(table._default_manager.values())) for table in apps.get_app_config("releases").get_models()
    )
    for hidden in (secret, secret[6:], SLACK_PATH, "canary-slack", "canary-teams"):
        assert hidden not in tables
    assert all("canary" not in str(audit.story(channel.stream)) for channel in channels)


def test_an_address_changed_in_the_database_does_not_get_the_secret(clock):
    ours, theirs = Listener(), Listener()
    with running(ours) as here, running(theirs) as there:
        channel = a_channel(ChannelKind.SLACK, Topic.APPROVED, origin=here)
        case = told()
        with database.cursor() as cursor:
            cursor.execute("UPDATE releases_channel SET origin = %s", [there])
        send(clock)

    assert (ours.heard, theirs.heard) == ([], [])
    assert states(case) == ["failed"]
    channel.refresh_from_db()
    assert "does not belong" in channel.last_error


def test_another_address_asks_for_the_secret_again(clock):
    channel = a_channel(ChannelKind.WEBHOOK, Topic.APPROVED, secret=new_secret())

    with pytest.raises(Invalid) as refused:
        change(channel, clock(), address="https://evil.example.com/in")

    assert list(refused.value.fields) == ["secret"]
    moved, _shown = change(channel, clock(), address="https://other.example.com/in", secret=new_secret())
    assert (moved.origin, moved.path, moved.previous_box) == ("https://other.example.com", "/in", None)


REFUSED = [
    "ftp://hooks.example.com/x",
    "https://user:pw@hooks.example.com/x",
    "https://hooks.example.com/x#y",
    "https://hooks.example.com/a b",
    "https://hooks.example.com\\@evil.example.com/x",
    "https://10.0.0.7/x",
    "https://169.254.169.254/latest/meta-data",
    "https://[fd00::7]/x",
    "https://[::ffff:10.0.0.7]/x",
    "https://2130706433/x",
    "https://0x7f.1/x",
    "https://hooks.example.com:99999/x",
    "https://hooks.example.com/../admin",
    "javascript:alert(1)",
    "hooks.example.com",
    "",
    "https://" + "a" * 3000 + ".com/x",
]


@pytest.mark.parametrize("address", REFUSED)
@pytest.mark.parametrize("kind", [ChannelKind.SLACK, ChannelKind.WEBHOOK])
def test_an_address_that_leads_astray_is_refused_at_the_field(clock, address, kind):
    with pytest.raises(Invalid) as refused:
        services.open_channel(actor=SETUP, fields=ChannelDraft(name="x", kind=kind, address=address), now=clock())

    assert list(refused.value.fields) == ["address"]


def test_a_token_in_an_open_address_and_a_slack_address_without_its_key_are_refused(clock):
    for kind, address in (
        (ChannelKind.WEBHOOK, "https://hooks.example.com/x?token=abc"),
        (ChannelKind.SLACK, "https://hooks.slack.com/"),
        (ChannelKind.EMAIL, "team@example.com"),  # no mail server here
    ):
        with pytest.raises(Invalid) as refused:
            services.open_channel(actor=SETUP, fields=ChannelDraft(name="x", kind=kind, address=address), now=clock())
        assert list(refused.value.fields) == ["address"]


@pytest.mark.parametrize(
    "secret", ["hunter2hunter2hunter2", "whsec_short", "whsec_" + "A" * 200, "whsec_%%%%", "whsec_é"]
)
def test_what_is_no_secret_of_a_webhook_is_refused(clock, secret):
    draft = ChannelDraft(name="x", kind=ChannelKind.WEBHOOK, address="https://hooks.example.com/x", secret=secret)

    with pytest.raises(Invalid) as refused:
        services.open_channel(actor=SETUP, fields=draft, now=clock())

    assert list(refused.value.fields) == ["secret"]


def test_a_name_that_leads_to_a_private_address_is_refused_when_it_is_called(clock, monkeypatch):
    listener = Listener()
    with running(listener) as origin:
        a_channel(ChannelKind.SLACK, Topic.APPROVED, origin=origin.replace("127.0.0.1", "localhost"))
        monkeypatch.setenv("GMUD_OUTBOUND_NETWORKS", "10.9.9.0/24")
        case = told()
        send(clock)

    assert listener.heard == []
    assert Notice.objects.get(case=case).attempts == 1
    assert states(case) == ["failed"]
    assert "GMUD_OUTBOUND_NETWORKS" in Channel.objects.get().last_error


@pytest.mark.parametrize(
    ("kind", "where"),
    [
        (ChannelKind.SLACK, lambda body: body["blocks"][0]["text"]["text"].splitlines()[-1]),
        (ChannelKind.TEAMS, lambda body: body["attachments"][0]["content"]["actions"]),
        (ChannelKind.WEBHOOK, lambda body: body["data"]["url"]),
    ],
)
def test_each_is_given_the_very_address_of_what_it_is_told_about(clock, settings, kind, where):
    settings.PUBLIC_URL = "https://gmud.example.com"
    link = "https://gmud.example.com/changes/1042"
    listener = Listener()
    with running(listener) as here:
        a_channel(kind, Topic.APPROVED, origin=here)
        told(link="/changes/1042")
        send(clock)

    (body,) = listener.bodies()
    assert (
        where(body)
        == {
            ChannelKind.SLACK: f"<{link}|Open in GMUD>",
            ChannelKind.TEAMS: [{"type": "Action.OpenUrl", "title": "Open in GMUD", "url": link}],
            ChannelKind.WEBHOOK: link,
        }[kind]
    )


def test_a_redirect_is_not_followed(clock):
    theirs = Listener()
    with running(theirs) as there:
        ours = Listener(status=302, headers={"Location": f"{there}/x"})
        with running(ours) as here:
            a_channel(ChannelKind.SLACK, Topic.APPROVED, origin=here)
            case = told()
            send(clock)

    assert len(ours.heard) == 1
    assert theirs.heard == []
    assert states(case) == ["failed"]


def test_a_sink_that_is_down_is_tried_five_times_then_recorded_and_paged(clock):
    marta = a_person("Marta Sá", Role.RELEASE_MANAGER)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        channel = a_channel(ChannelKind.SLACK, Topic.APPROVED, origin=f"http://127.0.0.1:{nobody.getsockname()[1]}")
        case = told()
        for _try in range(7):
            send(clock)
            clock.tick(hours=1)

    assert Notice.objects.get(case=case).attempts == 5
    assert states(case) == ["failed"]
    page = Notice.objects.get(topic=Topic.SINK_FAILED, person=marta)
    assert page.link == f"/settings/channels/{channel.pk}"
    assert "notice.failed" in [entry.kind for entry in audit.story(channel.stream)]


def test_a_sink_that_asks_for_a_rest_gets_it(clock):
    listener = Listener(status=429, headers={"Retry-After": "120"})
    with running(listener) as origin:
        a_channel(ChannelKind.SLACK, Topic.APPROVED, origin=origin)
        case = told()
        send(clock)

    assert Notice.objects.get(case=case).due_at == clock() + timedelta(seconds=120)
    assert OutboxMessage.objects.filter(kind="notice.due", available_at=clock() + timedelta(seconds=120)).exists()


def test_an_answer_that_asks_for_ages_and_holds_a_nul_holds_up_nobody(clock):
    listener = Listener(status=503, headers={"Retry-After": "9" * 30}, body="no\x00room")
    with running(listener) as origin:
        channel = a_channel(ChannelKind.SLACK, Topic.APPROVED, origin=origin)
        case = told()
        send(clock)

    channel.refresh_from_db()
    assert channel.last_error == "It answered 503: no\ufffdroom"
    assert Notice.objects.get(case=case).due_at == clock() + timedelta(hours=1)


def test_while_one_worker_waits_for_a_slow_sink_others_send_pages_only(clock):
    listener = Listener()
    listener.faults.append(Fault("slow", seconds=0.5))
    ana = a_person("Ana Reis")
    with running(listener) as origin:
        a_channel(ChannelKind.SLACK, Topic.APPROVED, origin=origin)
        told()
        Notice.objects.update(claim=ana.pk, claimed_until=clock() + timedelta(seconds=30))  # another worker has it
        a_channel(ChannelKind.WEBHOOK, Topic.APPROVED, Topic.NEEDS_HUMAN, origin=origin)
        calm = told()
        page = told(topic=Topic.NEEDS_HUMAN)
        assert send(clock) == 1

    assert (states(calm), states(page)) == (["pending", "pending"], ["sent"])


def test_a_channel_of_a_team_hears_of_its_services_only(clock):
    ledger, cards = a_team("ledger"), a_team("cards")
    ours, theirs = a_service("ledgerwriter", team=ledger), a_service("cardwriter", team=cards)
    channel = a_channel(ChannelKind.SLACK, Topic.APPROVED, team_id=ledger.pk)

    told(services=frozenset({ours.pk}), case="ours")
    told(services=frozenset({theirs.pk}), case="theirs")
    told(services=frozenset({theirs.pk, ours.pk}), case="both")
    told(case="nobody's")
    told(topic=Topic.REJECTED, services=frozenset({ours.pk}), case="of no interest")

    assert set(Notice.objects.filter(channel=channel).values_list("case", flat=True)) == {"ours", "both"}


def test_a_channel_that_is_removed_gets_nothing_more_and_keeps_no_secret(clock):
    listener = Listener()
    with running(listener) as origin:
        channel = a_channel(ChannelKind.SLACK, Topic.APPROVED, origin=origin)
        case = told()
        services.remove_channel(actor=SETUP, channel_id=channel.pk, now=clock())
        send(clock)
        told()
        send(clock)

    channel.refresh_from_db()
    assert listener.heard == []
    assert channel.secret_box is None
    assert states(case) == ["withdrawn"]
    with pytest.raises(Missing):
        services.try_channel(actor=SETUP, channel_id=channel.pk, now=clock())


def test_a_test_goes_to_this_channel_alone_and_its_page_says_how_it_went(clock):
    ours, theirs = Listener(), Listener()
    with running(ours) as here, running(theirs) as there:
        channel = a_channel(ChannelKind.SLACK, origin=here)
        a_channel(ChannelKind.SLACK, *Topic, origin=there)
        services.try_channel(actor=SETUP, channel_id=channel.pk, now=clock())
        send(clock)

    channel.refresh_from_db()
    assert (len(ours.heard), theirs.heard, channel.heard_at, channel.last_error) == (1, [], clock(), "")


def test_only_who_may_edit_the_catalogue_may_open_a_channel(clock):
    draft = ChannelDraft(name="x", kind=ChannelKind.SLACK, address="https://hooks.slack.com/services/T/B/x")

    with pytest.raises(NotPermitted):
        services.open_channel(actor=an_actor(Role.ENGINEER), fields=draft, now=clock())
    assert services.open_channel(actor=an_actor(Role.RELEASE_MANAGER), fields=draft, now=clock())
    with pytest.raises(Invalid) as taken:
        services.open_channel(actor=SETUP, fields=draft, now=clock())
    assert list(taken.value.fields) == ["name"]


def test_after_a_rotation_every_channel_still_opens(clock, capsys):
    channel = a_channel(ChannelKind.WEBHOOK, Topic.APPROVED, secret=new_secret())
    before = secrets.opened(channel)

    call_command("catalog", "rotate-keys")

    channel.refresh_from_db()
    assert secrets.is_sealed_with_first_key(channel)
    assert secrets.opened(channel) == before
    assert "1 secrets were sealed again" in capsys.readouterr().out
