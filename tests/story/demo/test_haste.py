"""The demo does not wait for the disk while it is told, and everything after it does."""

import pytest
from django.db import connection

from gmud.demo.haste import haste


@pytest.mark.django_db(transaction=True)
def test_haste_ends_with_the_story():
    def how_safe():
        with connection.cursor() as cursor:
            cursor.execute({"sqlite": "PRAGMA synchronous", "postgresql": "SHOW synchronous_commit"}[connection.vendor])
            return cursor.fetchone()[0]

    before = how_safe()
    with haste():
        hasty = how_safe()

    assert (hasty, before) == ((0, 2) if connection.vendor == "sqlite" else ("off", "on"))
    assert how_safe() == before
