"""The migrations say what the models say."""

from io import StringIO

import pytest
from django.core.management import call_command


@pytest.mark.django_db
def test_the_migrations_are_complete():
    told = StringIO()
    try:
        call_command("makemigrations", "releases", check=True, dry_run=True, stdout=told, stderr=told)
    except SystemExit:
        pytest.fail(f"The models changed and the migrations did not: {told.getvalue()}")
