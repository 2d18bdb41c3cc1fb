"""Every system that takes our letters over HTTP keeps the same contract; each has its own limits besides."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from releases.core.errors import Rejected, Unreachable
from releases.core.http import Reply
from releases.notify.kinds import ChannelKind
from releases.notify.ports import Address, Item, Later
from releases.notify.sinks import POSTERS
from releases.notify.slack.adapter import Slack
from releases.notify.teams.adapter import Teams
from releases.notify.webhook.adapter import Webhook, signature
from tests.factories.notify import a_letter

NOW = datetime(2026, 9, 15, 13, 30, tzinfo=UTC)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ADDRESSES: Mapping[ChannelKind, Address] = {
    ChannelKind.SLACK: Address("", ("/services/T/B/x",)),
    ChannelKind.TEAMS: Address("", ("/workflows/x?sig=1",)),
    ChannelKind.WEBHOOK: Address("/in", (SECRET,)),
}
TEXT = st.text(max_size=400)
ITEMS = st.builds(
    Item,
    reason=TEXT,
    lines=st.lists(TEXT, max_size=12).map(tuple),
    url=st.just("https://gmud.example.com/changes/1042"),
    facts=st.just({"topic": "vote_needed", "case": "change:1:x"}),
)


def a_reply(status: int, body: str = "", **headers: str) -> Reply:
    return Reply(status, headers, body.encode())


@pytest.mark.parametrize("kind", POSTERS)
class TestEveryPoster:
    """What all of them promise."""

    def test_it_posts_json_to_its_path_the_same_each_time(self, kind):
        first, second = (POSTERS[kind].post(a_letter(), to=ADDRESSES[kind], now=NOW) for _ in range(2))

        assert first == second
        assert first.headers["Content-Type"] == "application/json"
        assert isinstance(json.loads(first.content), dict)
        assert first.path == ADDRESSES[kind].path + (ADDRESSES[kind].secrets[0] if kind != ChannelKind.WEBHOOK else "")

    @given(items=st.lists(ITEMS, min_size=1, max_size=40))
    def test_whatever_people_wrote_it_is_json_of_a_fair_size(self, kind, items):
        letter = a_letter(*(items[:1] if kind is ChannelKind.WEBHOOK else items))
        content = POSTERS[kind].post(letter, to=ADDRESSES[kind], now=NOW).content

        json.loads(content)
        if kind is ChannelKind.TEAMS and len(items) > 1:
            assert len(content) < 28_000

    @pytest.mark.parametrize("status", [200, 202, 204])
    def test_it_knows_a_yes(self, kind, status):
        POSTERS[kind].check(a_reply(status, "ok"))

    @pytest.mark.parametrize("status", [301, 302, 400, 403, 404, 410])
    def test_it_knows_a_clear_no(self, kind, status):
        with pytest.raises(Rejected):
            POSTERS[kind].check(a_reply(status, "no_service"))

    @pytest.mark.parametrize("status", [429, 500, 502, 503])
    def test_it_knows_not_now_and_for_how_long(self, kind, status):
        with pytest.raises(Unreachable):
            POSTERS[kind].check(a_reply(status))
        with pytest.raises(Later) as asked:
            POSTERS[kind].check(a_reply(status, **{"retry-after": "7"}))
        assert asked.value.seconds == 7

    def test_what_is_printed_of_it_shows_no_secret(self, kind):
        post = POSTERS[kind].post(a_letter(), to=ADDRESSES[kind], now=NOW)

        for secret in ADDRESSES[kind].secrets:
            assert secret not in f"{ADDRESSES[kind]!r}{post!r}"


@given(st.lists(ITEMS, min_size=1, max_size=60))
def test_slack_gets_no_more_than_it_takes_and_no_sign_of_its_own_from_people(items):
    body = json.loads(Slack().post(a_letter(*items), to=ADDRESSES[ChannelKind.SLACK], now=NOW).content)

    assert len(body["blocks"]) <= 50
    for block in body["blocks"]:
        words = block["text"] if block["type"] == "section" else block["elements"][0]
        assert 1 <= len(words["text"]) <= 3000
        assert words["text"].count("<") == words["text"].count("<https://gmud.example.com/")
        assert "&" not in words["text"].replace("&amp;", "").replace("&lt;", "").replace("&gt;", "")


LINK = "https://gmud.example.com/changes/1042"


def test_the_deep_link_stands_exactly_where_each_system_opens_it():
    said = {kind: json.loads(POSTERS[kind].post(a_letter(), to=ADDRESSES[kind], now=NOW).content) for kind in ADDRESSES}

    texts = [block["text"]["text"] for block in said[ChannelKind.SLACK]["blocks"] if block["type"] == "section"]
    assert [text.splitlines()[-1] for text in texts] == [f"<{LINK}|Open in GMUD>"]
    card = said[ChannelKind.TEAMS]["attachments"][0]["content"]
    assert card["actions"] == [{"type": "Action.OpenUrl", "title": "Open in GMUD", "url": LINK}]
    assert said[ChannelKind.WEBHOOK]["data"]["url"] == LINK


def test_a_digest_for_slack_links_each_of_its_items():
    items = [Item(f"Thing {n}", (), f"https://gmud.example.com/{n}") for n in range(3)]
    body = json.loads(Slack().post(a_letter(*items), to=ADDRESSES[ChannelKind.SLACK], now=NOW).content)

    texts = [block["text"]["text"] for block in body["blocks"] if block["type"] == "section"]
    assert [line for text in texts for line in text.splitlines() if line.startswith("<")] == [
        f"<{item.url}|Open in GMUD>" for item in items
    ]


def test_a_digest_for_teams_links_each_of_its_items():
    items = [Item(f"Thing {n}", (), f"https://gmud.example.com/{n}") for n in range(3)]
    body = json.loads(Teams().post(a_letter(*items), to=ADDRESSES[ChannelKind.TEAMS], now=NOW).content)

    card = body["attachments"][0]["content"]
    runs = [run for block in card["body"] for run in block["inlines"]]
    assert [run["selectAction"]["url"] for run in runs if "selectAction" in run] == [item.url for item in items]
    assert card["actions"] == []


def test_the_signature_is_that_of_the_published_test_vector():
    signed = signature(
        SECRET, message_id="msg_p5jXN8AQM9LWM0D4loKWxJek", at="1614265330", content=b'{"test": 2432232314}'
    )

    assert signed == "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_two_secrets_make_two_signatures_in_one_header():
    other = "whsec_" + "A" * 32
    both = Webhook().post(a_letter(), to=Address("/in", (SECRET, other)), now=NOW).headers["webhook-signature"]
    alone = [
        Webhook().post(a_letter(), to=Address("/in", (one,)), now=NOW).headers["webhook-signature"]
        for one in (SECRET, other)
    ]

    assert both == " ".join(alone)
    assert all(one.startswith("v1,") for one in alone)
