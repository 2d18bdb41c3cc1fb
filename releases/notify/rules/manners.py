"""What each topic is: its name, its urgency, who hears of it, and how long its reason holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from releases.changes.states import State
from releases.core.words import mark as _
from releases.notify.kinds import Group, Topic, Urgency

T, G, U = Topic, Group, Urgency


@dataclass(frozen=True, slots=True)
class Manner:
    """One row. ``asks`` says that somebody must act: when that is settled, whoever was told hears so.

    ``holds`` are the states of a change in which the reason still stands; empty when no state settles it.
    """

    title: str
    urgency: Urgency
    hears: tuple[Group, ...] = ()
    asks: bool = False
    holds: frozenset[State] = frozenset()

    @property
    def is_page(self) -> bool:
        """Say whether it climbs the ladder until somebody takes it."""
        return self.urgency is Urgency.PAGE


def _row(
    title: str, urgency: Urgency, *hears: Group, asks: bool = False, holds: frozenset[State] = frozenset()
) -> Manner:
    return Manner(title, urgency, hears, asks, holds)


S = State
MANNERS: Mapping[Topic, Manner] = MappingProxyType(
    {
        T.VOTE_NEEDED: _row(_("Your vote is needed"), U.CALM, G.VOTERS, asks=True, holds=frozenset({S.AUTHORIZING})),
        T.CHANGES_REQUESTED: _row(_("Changes were requested"), U.CALM, G.REQUESTER, holds=frozenset({S.DRAFT})),
        T.APPROVED: _row(_("Approved"), U.CALM, G.REQUESTER, holds=frozenset({S.SCHEDULED})),
        T.REJECTED: _row(_("Rejected"), U.CALM, G.REQUESTER, holds=frozenset({S.REJECTED})),
        T.WINDOW_SOON: _row(_("A window is about to start"), U.NOW, G.RUNNERS, holds=frozenset({S.SCHEDULED})),
        T.VERDICT_BAD: _row(
            _("A release went wrong"), U.NOW, G.ON_CALL, G.OWNER_TEAM, G.RUNNERS,
            asks=True, holds=frozenset({S.IMPLEMENTING, S.WATCHING, S.REVIEWING}),
        ),
        T.ROLLBACK_ASKED: _row(
            _("Going back waits for a second person"), U.PAGE, G.ON_CALL, G.RELEASE_MANAGERS,
            asks=True, holds=frozenset({S.IMPLEMENTING, S.WATCHING}),
        ),
        T.ROLLBACK_BEGUN: _row(
            _("A rollback began"), U.NOW, G.ON_CALL, G.OWNER_TEAM, G.REQUESTER, holds=frozenset({S.ROLLING_BACK})
        ),
        T.ROLLED_BACK: _row(
            _("Rolled back"), U.NOW, G.ON_CALL, G.OWNER_TEAM, G.REQUESTER, holds=frozenset({S.REVIEWING, S.CLOSED})
        ),
        T.NEEDS_HUMAN: _row(_("The work waits for a person"), U.PAGE, G.ON_CALL, G.OWNER_TEAM, asks=True),
        T.ROLLBACK_FAILED: _row(
            _("A rollback failed"), U.PAGE, G.ON_CALL, G.OWNER_TEAM, asks=True, holds=frozenset({S.ROLLING_BACK})
        ),
        T.WITNESS_INCONSISTENT: _row(_("The record contradicts its witness"), U.PAGE, G.ON_CALL, asks=True),
        T.MESSAGE_DEAD: _row(_("A message was given up"), U.PAGE, G.ON_CALL, asks=True),
        T.SINK_FAILED: _row(_("Notices do not arrive"), U.PAGE, G.RELEASE_MANAGERS),
        T.CALLBACK_FAILED: _row(_("A call to who waits did not arrive"), U.NOW, G.REQUESTER, G.RUNNERS),
        T.CREDENTIAL_ENDS: _row(_("A secret is about to end"), U.NOW, G.ON_CALL, G.OWNER_TEAM, asks=True),
        T.REPORT_REFUSED: _row(_("A run reported what does not fit"), U.NOW, G.ON_CALL, G.OWNER_TEAM, G.RUNNERS),
        T.DRIFT: _row(_("Traffic is not as asked"), U.NOW, G.ON_CALL, G.OWNER_TEAM, asks=True),
        T.FREEZE: _row(_("A freeze or a lock"), U.CALM, G.AFFECTED),
        T.QUARANTINED: _row(_("An artifact is in quarantine"), U.CALM, G.OWNER_TEAM),
        T.REVIEW_DUE: _row(
            _("A review is due"), U.CALM, G.REQUESTER, G.RUNNERS, asks=True, holds=frozenset({S.REVIEWING})
        ),
        T.REVIEW_OVERDUE: _row(
            _("A review is overdue"), U.CALM, G.REQUESTER, G.RUNNERS, G.RELEASE_MANAGERS,
            asks=True, holds=frozenset({S.REVIEWING}),
        ),
        T.TEST: _row(_("A test"), U.NOW),
    }
)  # fmt: skip


def at_choice() -> tuple[Topic, ...]:
    """Return the topics one may leave out: a page reaches everybody it is for, a test whoever asked for it."""
    return tuple(topic for topic, manner in MANNERS.items() if not manner.is_page and topic is not Topic.TEST)


def holds_in(topic: Topic, state: str) -> bool:
    """Say whether the reason of a notice about a change still stands in this state of the change."""
    holds = MANNERS[topic].holds
    return not holds or state in holds
