"""What rights are called, and how people and teams are offered in a form."""

from collections.abc import Iterable

from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import pgettext_lazy

from releases.accounts.models import Person, Team
from releases.accounts.rights import Right
from releases.web.looks import Words
from releases.web.names import RIGHTS as RIGHTS
from releases.web.tags import say

NOBODY = ("", pgettext_lazy("choice", "Choose"))
NONE = ("", pgettext_lazy("choice", "None"))


def rights(held: Iterable[Right]) -> list[str | Promise]:
    """Return these rights in words, in the order of their names."""
    return [RIGHTS[right] for right in sorted(held)]


def capitalized(word: Words) -> str:
    """Return a word of a sentence as it stands at the beginning of a line."""
    return capfirst(say(word))


def people() -> list[tuple[str, Words]]:
    """Return who can be chosen: everybody who is here, each with the user names that tell two of one name apart."""
    found = Person.objects.filter(is_active=True).prefetch_related("accounts")
    return [NOBODY, *((str(one.pk), _called(one)) for one in found)]


def teams() -> list[tuple[str, Words]]:
    """Return the teams that can be chosen, and none of them."""
    return [NONE, *((str(pk), name) for pk, name in Team.objects.values_list("pk", "name"))]


def _called(person: Person) -> str:
    usernames = ", ".join(user.username for user in person.accounts.all())
    return f"{person.name} ({usernames})" if usernames else person.name
