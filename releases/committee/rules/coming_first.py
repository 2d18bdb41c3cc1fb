"""Where a version must come from before it goes on, and that it can: no rule waits for what never comes."""

from collections.abc import Iterable, Mapping

from releases.catalog.rules import hops_to
from releases.committee.rules.policy import Rule
from releases.core.errors import Sentence
from releases.core.words import mark as _


def dead_ends(rules: Iterable[Rule], environments: Mapping[str, str]) -> dict[str, list[Sentence | str]]:
    """Return, by field, which rules want what comes first to come from where nothing ever could.

    ``environments`` maps each that there is to its kind. Rules speak of kinds: where production waits for staging and
    staging for production, neither ever gets anything.
    """
    rules, wrong = tuple(rules), dict[str, list[Sentence | str]]()
    for index, rule in enumerate(rules):
        name = rule.after_environment
        if name and (sentence := _dead_end(name, rule, rules, environments)):
            wrong[f"rules[{index}].after_environment"] = [sentence]
    return wrong


def _dead_end(name: str, rule: Rule, rules: Iterable[Rule], environments: Mapping[str, str]) -> Sentence | None:
    kind = environments.get(name)
    if kind is None:
        known = ", ".join(environments) or "—"
        return Sentence(_("There is no environment %(name)s: use one of %(known)s."), {"name": name, "known": known})
    if kind in rule.environment_kinds:
        text = _("This rule speaks of %(name)s, too, which cannot come before itself: let it speak of other kinds.")
        return Sentence(text, {"name": name})
    for change_type in rule.types:
        if rule.environment_kinds & hops_to([kind], _first(rules, change_type, environments)).keys():
            text = _("Another rule wants what this one speaks of before %(name)s: each would wait for the other.")
            return Sentence(text, {"name": name})
    return None


def _first(rules: Iterable[Rule], change_type: str, environments: Mapping[str, str]) -> dict[str, set[str]]:
    """Return, for each kind of environment, the kinds that changes of this type come from."""
    first: dict[str, set[str]] = {}
    for rule in rules:
        if change_type in rule.types and rule.after_environment in environments:
            for kind in rule.environment_kinds:
                first.setdefault(kind, set()).add(environments[rule.after_environment])
    return first
