"""What refers to a row of the catalogue, in words: nothing that is in use is taken away."""

from collections.abc import Callable, Iterable, Mapping

from django.db.models import ForeignObjectRel

from releases.catalog.models import Named
from releases.catalog.services.rows import invalid
from releases.core.errors import Refused, Sentence
from releases.core.words import mark as _
from releases.core.words import plural

# By the name of the table, of the rooms above, too: the database knows who refers to what, these are only the words.
_WORDS: Mapping[str, str] = {
    "artifact": plural("%(n)s artifact", "%(n)s artifacts", by="n"),
    "binding": plural("%(n)s binding", "%(n)s bindings", by="n"),
    "customernotice": plural("%(n)s recorded notice", "%(n)s recorded notices", by="n"),
    "customer": plural("%(n)s customer", "%(n)s customers", by="n"),
    "dependency": plural("%(n)s dependency", "%(n)s dependencies", by="n"),
    "deployment": plural("%(n)s deployment", "%(n)s deployments", by="n"),
    "incident": plural("%(n)s incident", "%(n)s incidents", by="n"),
    "item": plural("%(n)s change request", "%(n)s change requests", by="n"),
    "lock": plural("%(n)s stop of the line", "%(n)s stops of the line", by="n"),
    "ownerchoice": plural("%(n)s decision on who writes it", "%(n)s decisions on who writes it", by="n"),
    "route": plural("%(n)s route", "%(n)s routes", by="n"),
    "running": plural("%(n)s record of what ran", "%(n)s records of what ran", by="n"),
    "shift": plural("%(n)s shift of traffic", "%(n)s shifts of traffic", by="n"),
    "verdict": plural("%(n)s verdict of health", "%(n)s verdicts of health", by="n"),
    "window": plural("%(n)s window or freeze", "%(n)s windows or freezes", by="n"),
}
_COUNTED = {"item": "change_id"}  # a change with two items is one change
# What is only said about the row, and goes with it.
GOES_ALONG = frozenset({"drift", "observation", "reading", "subscription"})

# What speaks of an environment by its name, in rooms above: each is asked under its own lock, and answers with phrases.
# The app fills it when it starts.
SPEAKS_OF: list[Callable[[str], Iterable[Sentence]]] = []


def uses_of(row: Named) -> list[Sentence]:
    """Return what refers to a row, one phrase for each kind of thing with how many there are.

    Exact inside a transaction that holds the row locked: whoever refers to it anew must wait.
    """
    found: dict[str, int] = {}
    for relation in row._meta.get_fields(include_hidden=True):
        if not isinstance(relation, ForeignObjectRel) or relation.related_model._meta.auto_created:
            continue
        name = str(relation.related_model._meta.model_name)
        if name in GOES_ALONG:
            continue
        rows = relation.related_model._default_manager.filter(**{relation.field.name: row}).order_by()
        found[name] = found.get(name, 0) + rows.values(_COUNTED.get(name, "pk")).distinct().count()
    return [Sentence(_WORDS[name], {"n": found[name]}) for name in sorted(found) if found[name]]


def must_be_unused(row: Named, *, called: str = "") -> None:
    """Refuse to take away what something refers to; inside the caller's transaction, which locked the row.

    :raises Refused: with what refers to it and how many there are
    """
    if uses := uses_of(row):
        raise Refused(
            Sentence(
                _("%(name)s stays, because it is in use: %(uses)s. Remove or change what uses it first."),
                {"name": called or str(row), "uses": together(uses)},
            )
        )


def must_not_be_spoken_of(*names: str, field: str = "name") -> None:
    """Refuse to take away, to give or to turn into another ``field`` the environments that a room above goes by.

    In the caller's transaction. Whoever moves such a name to another environment moves what is asked there.

    :raises Invalid: with the field and what goes by the name
    """
    for name in names:
        if said := [phrase for ask in SPEAKS_OF for phrase in ask(name)]:
            text = _("%(name)s stands in %(uses)s: propose a policy that names another environment first.")
            raise invalid(field, Sentence(text, {"name": name, "uses": together(said)}))


def together(phrases: list[Sentence]) -> Sentence:
    """Return several phrases as one: "3 change requests, 2 bindings and 1 route"."""
    joined = phrases[-1]
    for index, phrase in enumerate(reversed(phrases[:-1])):
        text = _("%(first)s and %(last)s") if index == 0 else _("%(first)s, %(last)s")
        joined = Sentence(text, {"first": phrase, "last": joined})
    return joined
