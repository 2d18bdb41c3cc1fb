"""The whole life of a change request, on one screen."""

from collections.abc import Iterable

from releases.accounts.rights import Right
from releases.changes import rules
from releases.changes.rules import Facts
from releases.changes.states import ChangeType
from releases.changes.states import State as S
from releases.core.machine import Guard, Machine, Move
from releases.core.words import mark as _

HAS_TITLE = Guard("title", _("Title"), rules.has_title)
HAS_WHY = Guard("why", _("Reason"), rules.has_why)
HAS_ITEMS = Guard("items", _("Items, each with version and digest"), rules.has_items)
HAS_PLAN = Guard("plan", _("Plan"), rules.has_plan)
HAS_EVIDENCE = Guard("evidence", _("Test evidence"), rules.has_evidence)
HAS_WAY_BACK = Guard("rollback_plan", _("Rollback plan"), rules.has_rollback_plan)
WINDOW_ORDERED = Guard("window", _("Window"), rules.window_ordered)
WINDOW_AHEAD = Guard("window_ahead", _("Window starts in the future"), rules.window_ahead)
NO_TWIN = Guard("twin", _("No other open change for these items"), rules.no_twin)
NO_OVERDUE_REVIEW = Guard("overdue_review", _("No overdue emergency review"), rules.no_overdue_review)
IS_NORMAL = Guard(
    "type", _("Normal change"), rules.TypeGuard(ChangeType.NORMAL, _("Only a normal change goes this way."))
)
IS_STANDARD = Guard(
    "type", _("Standard change"), rules.TypeGuard(ChangeType.STANDARD, _("Only a standard change goes this way."))
)
IS_EMERGENCY = Guard(
    "type", _("Emergency change"), rules.TypeGuard(ChangeType.EMERGENCY, _("Only an emergency change goes this way."))
)
IS_RETROACTIVE = Guard(
    "type", _("Retroactive change"), rules.TypeGuard(ChangeType.RETROACTIVE, _("Only for what ran without approval."))
)
IS_ASSESSED = Guard("assessed", _("Impact assessed"), rules.is_assessed)
IS_PRE_APPROVED = Guard("pre_approved", _("Pre-approved by policy"), rules.is_pre_approved)
HAS_QUORUM = Guard("quorum", _("Authorized by the committee"), rules.has_quorum)
NOT_ON_HOLD = Guard("on_hold", _("Not on hold"), rules.not_on_hold)
INSIDE_WINDOW = Guard("inside_window", _("Inside the window"), rules.inside_window)
WINDOW_OVER = Guard("window_over", _("Window over"), rules.window_over)
NOTHING_CLOSED = Guard("closed", _("No freeze, no lock"), rules.nothing_closed)
CUSTOMERS_TOLD = Guard("customers", _("Customers told in time"), rules.customers_told)
BUDGET_LEFT = Guard("budget", _("Error budget left"), rules.budget_left)
NOBODY_BUSY = Guard("busy", _("No other release under watch there"), rules.nobody_busy)
AS_PLANNED = Guard("traffic", _("Traffic as the rollback plan expects it"), rules.traffic_as_planned)
NO_ROLLOUT = Guard("rollout", _("No rollout running"), rules.no_rollout_running)
WARRANT_LIVE = Guard("warrant", _("The approved way back is still valid"), rules.warrant_live)
CAN_GO_BACK = Guard("way_back", _("A way back exists"), rules.can_go_back)
WORK_RESTS = Guard("work_rests", _("The rollback does not go on by itself"), rules.work_rests)
HAS_REVIEW = Guard("review", _("Review written"), rules.has_review)
HAS_SUCCESSOR = Guard("successor", _("Successor named"), rules.has_successor)

COMPLETE = (HAS_TITLE, HAS_WHY, HAS_ITEMS, HAS_PLAN, HAS_EVIDENCE, HAS_WAY_BACK, WINDOW_ORDERED, WINDOW_AHEAD, NO_TWIN)
REPORTABLE = (HAS_TITLE, HAS_WHY, HAS_ITEMS)
CLEAR_TO_GO = (
    *(HAS_QUORUM, NOT_ON_HOLD, INSIDE_WINDOW, NOTHING_CLOSED, CUSTOMERS_TOLD, BUDGET_LEFT, NOBODY_BUSY),
    AS_PLANNED,
)


def _row(verb: str, sources: Iterable[S], target: S, right: Right, *guards: Guard[Facts]) -> Move[Facts]:
    return Move(verb, frozenset(sources), target, right, guards)


LIFE: Machine[Facts] = Machine(
    (
        #    verb                from                                   to               right            and only if
        _row("submit",           {S.DRAFT},                             S.ASSESSING,     Right.CHANGE_FILE, *COMPLETE, IS_NORMAL),
        _row("submit_standard",  {S.DRAFT},                             S.SCHEDULED,     Right.CHANGE_FILE, *COMPLETE, IS_STANDARD, IS_PRE_APPROVED),
        _row("submit_emergency", {S.DRAFT},                             S.AUTHORIZING,   Right.CHANGE_FILE, *COMPLETE, IS_EMERGENCY, NO_OVERDUE_REVIEW),
        _row("report",           {S.DRAFT},                             S.REVIEWING,     Right.CHANGE_RELEASE, *REPORTABLE, IS_RETROACTIVE),
        _row("assessed",         {S.ASSESSING},                         S.AUTHORIZING,   Right.SYSTEM_ACT, IS_ASSESSED),
        _row("request_changes",  {S.AUTHORIZING},                       S.DRAFT,         Right.CHANGE_VOTE),
        _row("authorized",       {S.AUTHORIZING},                       S.SCHEDULED,     Right.SYSTEM_ACT, HAS_QUORUM),
        _row("reject",           {S.AUTHORIZING},                       S.REJECTED,      Right.CHANGE_VOTE),
        _row("revise",           {S.DRAFT, S.ASSESSING, S.AUTHORIZING, S.SCHEDULED}, S.DRAFT, Right.CHANGE_FILE),
        _row("withdraw",         {S.ASSESSING, S.AUTHORIZING, S.SCHEDULED}, S.DRAFT,     Right.CHANGE_FILE),
        _row("cancel",           {S.DRAFT, S.ASSESSING, S.AUTHORIZING, S.SCHEDULED}, S.CANCELED, Right.CHANGE_FILE),
        _row("supersede",        {S.DRAFT, S.ASSESSING, S.AUTHORIZING, S.SCHEDULED}, S.SUPERSEDED, Right.CHANGE_FILE, HAS_SUCCESSOR),
        _row("expire",           {S.ASSESSING, S.AUTHORIZING, S.SCHEDULED}, S.EXPIRED,   Right.SYSTEM_ACT, WINDOW_OVER),
        _row("start",            {S.SCHEDULED},                         S.IMPLEMENTING,  Right.CHANGE_RELEASE, *CLEAR_TO_GO),
        _row("deployed",         {S.IMPLEMENTING},                      S.WATCHING,      Right.CHANGE_RELEASE, NO_ROLLOUT),
        _row("failed",           {S.IMPLEMENTING},                      S.REVIEWING,     Right.CHANGE_RELEASE, NO_ROLLOUT),
        _row("settled",          {S.WATCHING},                          S.REVIEWING,     Right.SYSTEM_ACT, NO_ROLLOUT),
        _row("roll_back",        {S.IMPLEMENTING, S.WATCHING},          S.ROLLING_BACK,  Right.ROLLBACK_BEGIN, WARRANT_LIVE, CAN_GO_BACK),
        _row("rolled_back",      {S.ROLLING_BACK},                      S.REVIEWING,     Right.SYSTEM_ACT),
        _row("back_by_hand",     {S.ROLLING_BACK},                      S.REVIEWING,     Right.ROLLBACK_BEGIN, WORK_RESTS),
        _row("stay",             {S.ROLLING_BACK},                      S.REVIEWING,     Right.ROLLBACK_BEGIN, WORK_RESTS),
        _row("close",            {S.REVIEWING},                         S.CLOSED,        Right.CHANGE_RELEASE, HAS_REVIEW),
    )
)  # fmt: skip
