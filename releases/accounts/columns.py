"""Database checks in words that SQLite and PostgreSQL both understand without help from Python."""

from enum import StrEnum

from django.db.models import CheckConstraint, F, Func, Q, TextField, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Length, Substr
from django.db.models.lookups import Exact

LOWER = "abcdefghijklmnopqrstuvwxyz"
DIGITS = "0123456789"
HEX = "abcdef" + DIGITS


def only(expression: Combinable, letters: str) -> Q:
    """Say that the text consists of these letters alone (trimming them leaves nothing)."""
    trimmed = Func(expression, Value(letters), function="LTRIM", output_field=TextField())
    return Q(Exact(trimmed, Value("")))


def slug_check(field: str, *, name: str, extra: str = "-") -> CheckConstraint:
    """Allow ASCII slugs only: no other letter can look like one of these, whatever the alphabet."""
    starts = only(Substr(field, 1, 1), LOWER + DIGITS)
    return CheckConstraint(name=name, condition=~Q(**{field: ""}) & starts & only(F(field), LOWER + DIGITS + extra))


def digest_check(field: str, *, name: str) -> CheckConstraint:
    """Allow ``sha256:`` and 64 hexadecimal digits only."""
    right_length = Q(Exact(Length(field), Value(71)))
    starts = Q(Exact(Substr(field, 1, 7), Value("sha256:")))
    return CheckConstraint(name=name, condition=right_length & starts & only(Substr(field, 8), HEX))


def one_of(field: str, values: type[StrEnum], *, name: str) -> CheckConstraint:
    """Allow the values of the enumeration only."""
    return CheckConstraint(name=name, condition=Q(**{f"{field}__in": [one.value for one in values]}))
