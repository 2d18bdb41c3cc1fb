"""Run an operation's steps: claim, probe, snapshot, intent, send, observe, confirm, with a commit between any two.

Whatever is killed between two lines here, the next worker finds in the journal how far it got: what may have been
sent is looked for before anything is sent again. Nothing sleeps, and nothing speaks inside a transaction.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from django.db import connection

from releases.core import request_id, tracing
from releases.core.errors import External, Refused, Rejected, Sentence
from releases.operations import bell, rules
from releases.operations.failpoints import failpoint
from releases.operations.models import Operation
from releases.operations.ports import Ending, Failed, NeedsHuman, Pending, Ring, Seen, StepHandler, StepView
from releases.operations.rules import Phase, StepFacts
from releases.operations.services import journal
from releases.operations.services.journal import Held, LostLease
from releases.operations.states import AttemptOutcome
from releases.operations.trouble import tell

_log = structlog.get_logger(__name__)
HANDS = 8
"""Steps of one stage that one call works on at once."""
Clock = Callable[[], datetime]
Next = Phase | None


def run(*, operation_id: UUID, worker: str, handlers: Mapping[str, StepHandler], now: Clock) -> None:
    """Take the operation's due steps until none is free; an unknown or ended one is left alone.

    Steps of one stage that wait side by side are taken by up to :data:`HANDS` threads, each with a connection to the
    database of its own: going back with twenty routes takes little longer than with the slowest of them. Several
    workers may run one operation at once. After the length of a lease the rest is left to the next call.
    """
    hands = min(journal.due(operation_id=operation_id, now=now()), HANDS)
    if hands < 2 or connection.in_atomic_block:  # other connections would not see what is not committed
        _take(operation_id, worker, handlers, now)
        return
    with ThreadPoolExecutor(hands, thread_name_prefix="step") as pool:
        taking = [
            pool.submit(copy_context().run, _take_apart, operation_id, worker, handlers, now) for _hand in range(hands)
        ]
    for one in taking:
        one.result()


def _take_apart(operation_id: UUID, worker: str, handlers: Mapping[str, StepHandler], now: Clock) -> None:
    try:
        _take(operation_id, worker, handlers, now)
    finally:
        connection.close()


def _take(operation_id: UUID, worker: str, handlers: Mapping[str, StepHandler], now: Clock) -> None:
    """Take due steps one after the other, until none is free or the length of a lease has passed."""
    began = now()
    while held := journal.claim(operation_id=operation_id, worker=worker, now=now()):
        failpoint("after_claim")
        try:
            told = {"gmud.operation": str(operation_id), "gmud.step": str(held.step_id)}
            with (
                request_id.bound(held.request, operation=str(operation_id), step=str(held.step_id)),
                tracing.span(f"step {held.kind}", tracing.SpanKind.CONSUMER, told),
            ):
                _Work(held, handlers.get(held.kind), now).do()
        except LostLease as lost:
            _log.warning("lease_lost", reason=str(lost))
        if now() - began > journal.lease():
            operation = Operation.objects.get(pk=operation_id)
            bell.ring(Ring(operation.queue, "operation", operation_id))
            return


@dataclass(frozen=True, slots=True)
class _Work:
    """One claimed step in the hands of its worker. Each phase returns the next one, or ``None`` when it let go."""

    held: Held
    known_handler: StepHandler | None
    now: Clock

    @property
    def handler(self) -> StepHandler:
        """Return who knows how to do this kind of step."""
        if self.known_handler is None:
            raise LookupError(f"No handler for steps of kind {self.held.kind!r}.")
        return self.known_handler

    def do(self) -> None:
        """Bring the step as far as it goes now, and let go of it."""
        acts = {
            Phase.PROBE: self._probe,
            Phase.SNAPSHOT: self._snapshot,
            Phase.SEND: self._send,
            Phase.OBSERVE: self._observe,
        }
        try:
            phase: Next = self._begin()
            while phase:
                phase = acts[phase]()
        except LostLease:
            raise
        except Refused as no:
            self._end(NeedsHuman(no.detail))
        except Exception as error:  # noqa: BLE001 - an operation never ends in silence
            tell("step_stumbled", error, step=str(self.held.step_id), kind=self.held.kind)
            if late := self._too_late():
                self._end(NeedsHuman(late))
            else:
                journal.stumble(self.held, error=repr(error), now=self.now())

    def _begin(self) -> Next:
        if self.held.worn_out:
            return self._end(NeedsHuman(self.held.worn_out))
        facts, _view = self._look()
        return rules.next_phase(facts)

    def _probe(self) -> Next:
        facts, view = self._look()
        try:
            remote_ref = self.handler.probe(view)
        except External as error:
            if dark := rules.sent_in_the_dark(facts.blind + 1):
                return self._end(NeedsHuman(dark))
            return self._cannot_see(facts, error)
        failpoint("after_probe")
        if remote_ref is not None:
            journal.found(self.held, remote_ref=remote_ref, now=self.now())
            failpoint("after_found")
            return Phase.OBSERVE
        journal.not_found(self.held, now=self.now())
        failpoint("after_not_found")
        if vain := rules.sent_in_vain(facts.sends):
            return self._end(NeedsHuman(vain))
        at = rules.may_resend_at(facts, lease=journal.lease())
        return self._wait(at) if at and at > self.now() else Phase.SEND

    def _snapshot(self) -> Next:
        facts, view = self._look()
        try:
            prev = self.handler.snapshot(view)
        except Rejected as no:
            return self._end(Failed(no.detail))
        except External as error:
            return self._cannot_see(facts, error)
        journal.snapshot(self.held, prev=prev, now=self.now())
        failpoint("after_snapshot")
        return Phase.SEND

    def _send(self) -> Next:
        if late := self._too_late():
            return self._end(NeedsHuman(late))
        journal.intent(self.held, now=self.now())
        failpoint("after_intent")
        facts, view = self._look()  # whoever was paused since then finds out here
        try:
            remote_ref = self.handler.send(view)
        except Refused as no:
            return self._end(NeedsHuman(no.detail), answer=AttemptOutcome.REFUSED)
        except Rejected as no:
            return self._end(Failed(no.detail), answer=AttemptOutcome.REJECTED)
        except External as error:
            soon = self.now() + rules.rest(rules.soon(lease=journal.lease()), error.after_seconds)
            journal.unknown(self.held, error=str(error), look_at=soon, now=self.now(), is_orderly=True)
        except Exception as error:  # noqa: BLE001 - nobody knows whether it was sent: probe first
            tell("send_stumbled", error, step=str(self.held.step_id), kind=self.held.kind)
            later = self.now() + rules.wait_after(facts.attempts, lease=journal.lease())
            journal.unknown(self.held, error=repr(error), look_at=later, now=self.now(), is_orderly=False)
        else:
            failpoint("after_send")
            journal.sent(self.held, remote_ref=remote_ref, now=self.now())
            failpoint("after_record")
            return Phase.OBSERVE
        failpoint("after_unknown")
        return None

    def _observe(self) -> Next:
        facts, view = self._look()
        try:
            outcome = self.handler.observe(view)
        except Rejected as no:
            return self._end(NeedsHuman(no.detail))
        except External as error:
            return self._cannot_see(facts, error)
        if isinstance(outcome, Pending):
            return self._wait(self.now() + rules.until_next_look(outcome.after_seconds), seen=outcome.seen)
        return self._end(outcome)

    def _look(self) -> tuple[StepFacts, StepView]:
        return journal.look(self.held, now=self.now())

    def _too_late(self) -> Sentence | None:
        return rules.too_late(deadline=self.held.deadline, now=self.now())

    def _cannot_see(self, facts: StepFacts, error: External) -> Next:
        blind = facts.blind + 1
        pause = rules.rest(rules.wait_after(blind, lease=journal.lease()), error.after_seconds)
        return self._wait(self.now() + pause, error=str(error), blind=blind)

    def _wait(self, look_at: datetime, *, seen: Seen | None = None, error: str = "", blind: int = 0) -> Next:
        """Let go of the step until then; past the deadline nothing is waited for."""
        if late := self._too_late():
            return self._end(NeedsHuman(late, seen or {}))
        journal.postpone(self.held, look_at=look_at, now=self.now(), seen=seen, error=error, blind=blind)
        failpoint("after_postpone")
        return None

    def _end(self, outcome: Ending, *, answer: AttemptOutcome | None = None) -> Next:
        failpoint("before_confirm")
        journal.end(self.held, outcome, handler=self.known_handler, now=self.now(), answer=answer)
        failpoint("after_confirm")
        return None
