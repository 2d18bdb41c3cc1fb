"""Keys as the guide says: made once, replaced one by one, and what the old ones signed still verifies."""

import os
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from releases.audit.queries import verify
from releases.audit.services import seal
from releases.gate import keys
from tests.factories.audit import an_event


@pytest.fixture
def folder(settings, tmp_path) -> Path:
    settings.GMUD_KEYS = str(tmp_path / "keys")
    settings.GMUD_WITNESS_FILE = str(tmp_path / "witness" / "checkpoints.jsonl")
    return tmp_path / "keys"


def prepare() -> list[str]:
    said = StringIO()
    call_command("keys", "prepare", stdout=said)
    return said.getvalue().splitlines()


def test_preparing_makes_what_is_missing_and_leaves_what_is_there(folder):
    first = prepare()
    before = {place.name: place.read_bytes() for place in folder.iterdir()}

    assert [name.split("-")[0] for name in first] == ["checkpoint.pem", "connections.keyring.json", "permit"]
    assert prepare() == first
    assert {place.name: place.read_bytes() for place in folder.iterdir()} == before
    assert {place.stat().st_mode & 0o777 for place in folder.iterdir()} == {0o600}


def test_the_newest_key_of_permits_signs_also_where_all_files_have_one_age(folder):
    made = [keys.make(folder) for _ in range(3)]
    for place in folder.iterdir():
        os.utime(place, (1, 1))  # as in a volume that was written at once

    signing = keys.signing(folder)
    assert signing is not None
    assert signing[0] == max(made)
    assert set(keys.verifying(folder)) == set(made)


@pytest.mark.django_db
def test_a_new_key_of_checkpoints_signs_on_while_the_old_one_verifies(folder):
    prepare()
    an_event()
    seal()
    (folder / "checkpoint.pem").rename(folder / "checkpoint-2026-11.pem")
    prepare()
    an_event()
    seal()

    assert (verify().exit_code, verify().sealed_size) == (0, 2)
