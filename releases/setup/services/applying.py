"""Apply a configuration file: everything or nothing, in one transaction, and never anything away."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from django.conf import settings
from django.db import transaction

from releases.accounts.models import User
from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.audit import services as audit
from releases.audit.actor import Actor, ActorKind
from releases.catalog.models import Service
from releases.committee.queries import proposed_policies, written_out
from releases.core.errors import GmudError, Invalid, Reason, Sentence, Stale
from releases.core.words import mark as _
from releases.setup.document import Problem, Unfit, read
from releases.setup.plan import Act, Found, Plan, Step, problems_of, steps_of
from releases.setup.queries import MAY_LOOK, as_it_is
from releases.setup.services.writing import WRITERS, Work
from releases.setup.shape import POLICY, Item, Wanted, understand

_RIGHTS: Mapping[str, Right] = {
    **dict.fromkeys(("people", "teams"), Right.PEOPLE_EDIT),
    POLICY: Right.POLICY_EDIT,
}


def apply(*, actor: Actor, text: str | bytes, dry_run: bool, seen_digest: str = "", now: datetime) -> Plan:
    """Return what a file does, step by step, and do it unless this is a dry run. It adds and changes, never removes.

    A dry run writes the same and takes it back, so that it refuses what applying would refuse. ``seen_digest`` is the
    plan that somebody agreed to: another one is not carried out.

    :raises NotPermitted: the actor may not even see the configuration
    :raises Unfit: something cannot be applied, or not by this actor: every such thing with path and line
    :raises Stale: the plan would be another one than the one that was seen
    :raises Contradicted: the record contradicts its witness, so nothing is edited
    """
    require(actor, *MAY_LOOK)
    if not dry_run:
        audit.agree()
    wanted, problems = understand(read(text))
    with transaction.atomic(durable=True):
        found = as_it_is()
        named = {one.path for one in problems}  # what is there and wrong is not missing, too
        further = [*_unknown_languages(wanted), *problems_of(wanted, found), *_gone(wanted)]
        problems += [one for one in further if one.path not in named]
        if problems:
            raise Unfit(problems)
        plan = Plan(tuple(_not_twice(step) for step in steps_of(wanted, found)))
        if seen_digest and seen_digest != plan.digest:
            raise Stale(Sentence(_("Something changed since this plan was made: look at the new one.")))
        if refused := list(_for_people_only(plan, actor)):
            raise Unfit(refused)
        _carry_out(plan, wanted, found, Work(actor, now))
        if dry_run:
            transaction.set_rollback(True)
    return replace(plan, is_applied=not dry_run)


def _carry_out(plan: Plan, wanted: Wanted, found: Found, work: Work) -> None:
    """Take every step, inside the caller's transaction; what one of them refuses is named by its place in the file."""
    for step in plan.steps:
        if step.writes and step.item is not None:
            with _by_its_place(step.item, wanted):
                require(work.actor, _RIGHTS.get(step.kind, Right.CATALOG_EDIT))
                WRITERS[step.kind](work, step.item.complete(found))


@contextmanager
def _by_its_place(item: Item, wanted: Wanted) -> Iterator[None]:
    """Say where in the file it was that a service refused.

    :raises Unfit: in place of every error of ours
    """
    try:
        yield
    except GmudError as error:
        said = [(item.path, _with_its_fix(reason)) for reason in error.reasons] or [(item.path, error.detail)]
        if isinstance(error, Invalid) and error.fields:
            said = [(f"{item.path}.{field}", one) for field, many in error.fields.items() for one in many]
        raise Unfit([Problem(path, wanted.read.line(path), one) for path, one in said]) from error


def _with_its_fix(reason: Reason) -> Sentence:
    if reason.fix is None:
        return reason.message
    return Sentence("%(problem)s %(fix)s", {"problem": reason.message, "fix": reason.fix})


def _for_people_only(plan: Plan, actor: Actor) -> Iterator[Problem]:
    """Yield what a machine asks for and never does: to change who may decide, by people, teams, roles or the policy."""
    text = _("A token never changes who may decide: apply this on the page or in the shell, in a person's name.")
    for step in plan.steps:
        if actor.kind is ActorKind.MACHINE and step.kind in _RIGHTS and step.writes and step.item is not None:
            yield Problem(step.item.path, step.item.line, Sentence(text))


def _unknown_languages(wanted: Wanted) -> Iterator[Problem]:
    known = dict(settings.LANGUAGES)
    for item in wanted.sections.get("people", ()):
        if (language := item.values.get("language")) and language not in known:
            path = f"{item.path}.language"
            parts = {"said": language, "known": ", ".join(known)}
            yield Problem(path, wanted.read.line(path), Sentence(_("“%(said)s” is none of: %(known)s."), parts))


def _gone(wanted: Wanted) -> Iterator[Problem]:
    """Yield what the file would call back without saying so: services that retired, people who left."""
    retired = set(Service.objects.exclude(retired_at=None).values_list("name", flat=True))
    left = set(User.objects.filter(person__is_active=False).values_list("username", flat=True))
    for section, gone, text in (
        ("services", retired, _("%(name)s is retired here: take it into use again on its page, or out of the file.")),
        ("people", left, _("%(name)s left: let them be here again on their page, or take them out of the file.")),
    ):
        for item in wanted.sections.get(section, ()):
            if item.key[0] in gone:
                yield Problem(item.path, item.line, Sentence(text, {"name": item.key[0]}))


def _not_twice(step: Step) -> Step:
    """Return the step; a policy that the committee has before it already is not put there again."""
    if step.kind != POLICY or not step.writes or step.item is None:
        return step
    name, rules = step.item.values.get("name"), step.item.values.get("rules")
    if any((one.name, written_out(one)) == (name, rules) for one in proposed_policies()):
        return replace(step, act=Act.KEEP, fields=(), sentence=Sentence(_("It waits for the committee already.")))
    return step
