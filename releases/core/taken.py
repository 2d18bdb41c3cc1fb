"""Save what nobody else may have: a name, an account, an identity; who comes second hears which field it is."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import IntegrityError, OperationalError, transaction

from releases.core.errors import GmudError

_DEADLOCK = "40P01"  # PostgreSQL's word for two who each wait for what the other one has just taken


@contextmanager
def unless_taken(refusal: GmudError) -> Iterator[None]:
    """Save inside the block, which is a savepoint: the caller's transaction survives the clash.

    :raises GmudError: the refusal, when a row like it exists, perhaps since this very moment
    """
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        raise refusal from error
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", "") != _DEADLOCK:
            raise
        raise refusal from error
