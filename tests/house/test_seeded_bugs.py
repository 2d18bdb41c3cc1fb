"""Bugs sown into the decision, the quorum and the redemption, one at a time: the tests must see every one of them.

Each is planted in a copy of the tree, and the tests named beside it must fail there.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.house.tree import ROOT

DECIDE = ("releases/gate/rules/deciding.py", "tests/unit/gate/test_decide.py")
APPROVAL = ("releases/gate/rules/approval.py", "tests/unit/gate/test_decide.py")
MOMENT = ("releases/gate/rules/moment.py", "tests/unit/gate/test_decide.py")
SAFETY = ("releases/gate/rules/safety.py", "tests/unit/gate/test_decide.py")
FACTS = ("releases/gate/rules/facts.py", "tests/unit/gate/test_decide.py")
TOLD = ("releases/changes/promises.py", "tests/story/gate/test_customers_and_budgets.py")
BUDGET = ("releases/catalog/cards.py", "tests/story/gate/test_customers_and_budgets.py")
WHO = ("releases/committee/rules/eligibility.py", "tests/unit/committee")
POLICY = ("releases/committee/rules/policy.py", "tests/unit/committee")
MATCHING = ("releases/committee/rules/matching.py", "tests/unit/committee")
QUORUM = ("releases/committee/rules/quorum.py", "tests/unit/committee")
OBJECTION = ("releases/committee/rules/quorum.py", "tests/story/gate/test_asking.py")
LOAN = ("releases/committee/rules/eligibility.py", "tests/story/changes/test_voting.py")
REDEEM = ("releases/gate/services/redeeming.py", "tests/story/gate/test_redeeming.py")
TOKENS = ("releases/accounts/openid/tokens.py", "tests/unit/accounts/test_id_tokens.py")
GUESSES = ("releases/accounts/limits.py", "tests/unit/accounts/test_limits.py")
STRANGERS = ("releases/accounts/services/proving.py", "tests/story/web/test_too_many_tries.py")
CODES = ("releases/accounts/services/factors.py", "tests/story/accounts/test_codes.py")
COPIED = ("releases", "gmud", "tests", "templates", "static", "locale", "pyproject.toml", "manage.py")


@dataclass(frozen=True)
class Bug:
    """What is wrong, where, and which tests must see it."""

    name: str
    place: tuple[str, str]
    old: str
    new: str


BUGS = (
    Bug("a wait beats a stop", DECIDE, 'if any(reason.severity == "stop"', 'if all(reason.severity == "stop"'),
    Bug("a permit outlives the window", DECIDE, "return min(end, change.ends_at)", "return end"),
    Bug("an edit voids nothing", APPROVAL, "if not change.is_intact:", "if change.number < 0:"),
    Bug("self-approval passes", APPROVAL, "if change.self_voters:", "if len(change.self_voters) > 1:"),
    Bug(
        "lost votes still count",
        APPROVAL,
        "if change.is_authorized and change.state != State.AUTHORIZING:",
        "if change.state != State.AUTHORIZING:",
    ),
    Bug(
        "any artifact will do",
        APPROVAL,
        "if change is None or facts.request.digest == change.approved_digest:",
        "if change is None or change.approved_digest:",
    ),
    Bug("the window's end is inside", MOMENT, "now >= change.ends_at:", "now > change.ends_at:"),
    Bug("the window's start is outside", MOMENT, "elif now < change.starts_at:", "elif now <= change.starts_at:"),
    Bug(
        "what was started needs no booking",
        (MOMENT[0], "tests/story/gate/test_asking.py"),
        "is_there = facts.request.intent is not Intent.DEPLOY",
        "is_there = True",
    ),
    Bug("quarantine is forgotten", SAFETY, "if facts.is_quarantined:", "if facts.is_quarantined and not facts.change:"),
    Bug("freezes are forgotten", MOMENT, "for closure in facts.closures:", "for closure in facts.closures[1:]:"),
    Bug(
        "a risk too high by one passes",
        SAFETY,
        "change.risk.rank > highest.rank",
        "change.risk.rank > highest.rank + 1",
    ),
    Bug(
        "it comes from nowhere",
        DECIDE,
        "    (ReasonCode.PREREQUISITE_MISSING, safety.released_where_it_comes_from),\n",
        "",
    ),
    Bug(
        "what was replaced too early counts",
        FACTS,
        "(stay.ended_at or now) - stay.since_at >= self.soak",
        "now - stay.since_at >= self.soak",
    ),
    Bug(
        "it stood there a moment too short",
        FACTS,
        "stay.since_at >= self.soak for",
        "stay.since_at > self.soak for",
    ),
    Bug(
        "what stands there no more is waited for",
        FACTS,
        "for stay in self.stays if stay.ended_at is None)",
        "for stay in self.stays)",
    ),
    Bug("what customers asked for is forgotten", MOMENT, "in facts.asked_for:", "in facts.asked_for[1:]:"),
    Bug("nobody has to be told", MOMENT, "if promise.good_from is None:", "if promise.told_by:"),
    Bug("told a moment too late", MOMENT, "elif now < promise.good_from:", "elif now <= promise.good_from:"),
    Bug("told of another window", TOLD, '{"items": goes, "window": window}', '{"items": goes}'),
    Bug("told of another artifact", TOLD, '{"items": goes, "window": window}', '{"window": window}'),
    Bug("a spent budget is forgotten", SAFETY, "if not facts.is_budget_spent:", "if facts.change is not None:"),
    Bug("everything is an emergency", SAFETY, "and facts.change.is_emergency:", "and facts.change.number:"),
    Bug(
        "a warning lets everything pass", DECIDE, 'if any(reason.severity == "wait"', 'if all(reason.severity == "wait"'
    ),
    Bug("an old reading is believed", BUDGET, "now - self.seen_at <= BUDGET_HOLDS", "now >= self.seen_at"),
    Bug(
        "what is watched may be deployed",
        APPROVAL,
        "Intent.DEPLOY: frozenset({State.SCHEDULED, State.IMPLEMENTING}),",
        "Intent.DEPLOY: frozenset({State.SCHEDULED, State.IMPLEMENTING, State.WATCHING}),",
    ),
    Bug(
        "the requester may vote",
        WHO,
        "if person in standing.excluded:",
        "if person in standing.excluded and for_person:",
    ),
    Bug(
        "a loan lasts a moment too long",
        LOAN,
        "self.starts_at <= at < self.ends_at",
        "self.starts_at <= at <= self.ends_at",
    ),
    Bug("the laxest rule wins", POLICY, "= max(needed.get(", "= min(needed.get("),
    Bug(
        "a seat takes one too many",
        MATCHING,
        "if len(self.taken[seat]) < self.room[seat]:",
        "if len(self.taken[seat]) <= self.room[seat]:",
    ),
    Bug(
        "a request for changes is overheard",
        OBJECTION,
        "approved = is_full and not rejected and not changes_requested",
        "approved = is_full and not rejected",
    ),
    Bug("one person counts twice", QUORUM, "if ballot.person in voted:", "if ballot.for_person in voted:"),
    Bug("redeemed for another artifact", REDEEM, "if artifact_digest != decision.digest:", "if not artifact_digest:"),
    Bug(
        "redeemed again when it is over",
        REDEEM,
        "if permit.redeemed_by == name and now < permit.expires_at",
        "if permit.redeemed_by == name",
    ),
    Bug("redeemed before it was given", REDEEM, " or now < permit.issued_at:", ":"),
    Bug("redeemed by another run", REDEEM, "if permit.run and permit.run != name:", "if permit.run and not name:"),
    Bug("redeemed twice", REDEEM, "if permit.redeemed_by == name", "if permit.redeemed_by"),
    Bug(
        "an item deployed by two runs",
        REDEEM,
        "others.first() if asked.intent == Intent.DEPLOY",
        "others.first() if not asked.intent",
    ),
    Bug("redeemed without a second decision", REDEEM, "    _decide_again(decision, change, now=now)\n", ""),
    Bug(
        "redeemed while it should wait",
        REDEEM,
        "if again.verdict is not Verdict.ALLOW:",
        "if again.verdict is Verdict.DENY:",
    ),
    Bug(
        "redeemed after an edit that was approved anew",
        REDEEM,
        "if change.content_digest != decision.content_digest:",
        "if not change.content_digest:",
    ),
    Bug(
        "a token by any issuer",
        TOKENS,
        'if not _same(claims.get("iss"), expected.issuer):',
        'if not claims.get("iss"):',
    ),
    Bug("a token of another request", TOKENS, '_same(claims.get("nonce"), expected.nonce)', 'claims.get("nonce")'),
    Bug("a token for another party", TOKENS, "(len(many) > 1 or party is not None)", "len(many) > 9"),
    Bug("a token that never ends", TOKENS, '_moment(claims, "exp") > here - skew', '_moment(claims, "exp")'),
    Bug("any algorithm will do", TOKENS, 'one.get("alg", algorithm) == algorithm', "algorithm"),
    Bug("user info about anybody", TOKENS, '_same(userinfo.get("sub"), claims["sub"])', 'userinfo.get("sub")'),
    Bug("one guess too many", GUESSES, "if len(recent) >= limit.tries:", "if len(recent) > limit.tries:"),
    Bug("a known browser is anybody's", STRANGERS, "and visitor.browser_of == account", ""),
    Bug("a code counts twice", CODES, "if step > after and compare", "if step and compare"),
    Bug("a code of the day", CODES, "(here, here - 1, here + 1)", "(here, here - 1, here + 1, here + 2)"),
)


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """Return a copy of the tree with its tests."""
    to = tmp_path_factory.mktemp("sown")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, to)
    return to


def run_there(folder: Path, tests: str) -> subprocess.CompletedProcess[str]:
    """Run these tests there, until the first failure."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}}
    command = (
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "-p",
        "no:cacheprovider",
        "--hypothesis-profile=usual",
        tests,
    )
    return subprocess.run(
        command, cwd=folder, env={**kept, "PYTHONDONTWRITEBYTECODE": "1"}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_every_bug_of_the_table_can_be_sown(bug):
    assert (ROOT / bug.place[0]).read_text().count(bug.old) == 1


@pytest.mark.long
@pytest.mark.parametrize("tests", sorted({bug.place[1] for bug in BUGS}))
def test_without_a_bug_the_tests_pass(copy, tests):
    done = run_there(copy, tests)

    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.long
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_sown_bug_is_seen(copy, bug):
    place = copy / bug.place[0]
    before = place.read_text()
    place.write_text(before.replace(bug.old, bug.new))
    try:
        done = run_there(copy, bug.place[1])
    finally:
        place.write_text(before)

    assert done.returncode == 1, done.stdout[-2000:]  # 1: tests failed; anything else is an accident
