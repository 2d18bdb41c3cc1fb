"""``manage.py config``: what people see who set an installation up from a shell."""

import io
import os
import subprocess
import sys

import pytest
from django.core.management import CommandError, call_command

from releases.catalog.models import Dependency, Service
from tests.factories.accounts import PASSWORD, a_token
from tests.factories.setup import SMALL, the_first_owner
from tests.house.tree import ROOT

pytestmark = pytest.mark.django_db


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "bank.yaml"
    path.write_text(SMALL)
    return path


def said(*arguments):
    out = io.StringIO()
    call_command("config", *arguments, stdout=out)
    return out.getvalue()


def test_a_dry_run_then_the_same_for_good_then_the_file_comes_out_again(file, tmp_path):
    the_first_owner()

    tried = said("apply", str(file), "--dry-run", "--as", "olga")
    assert "+ services cart" in tried
    assert "name: 'First Owner' -> 'Olga Nunes'" in tried
    assert "Dry run, nothing was written: 13 added, 1 changed, 0 as they were." in tried
    assert not Service.objects.exists()

    assert "13 added" in said("apply", str(file), "--as", "Olga")
    assert Dependency.objects.get().confirmed_by.name == "Olga Nunes"

    exported = tmp_path / "again.yaml"
    exported.write_text(said("export"))
    assert exported.read_text().startswith("gmud: 1\nteams:\n- name: ledger\n")
    assert "0 added, 0 changed, 14 as they were." in said("apply", str(exported))


def test_what_only_a_person_does_is_refused_to_the_shell_itself(file):
    the_first_owner()

    with pytest.raises(CommandError, match=r"line \d+, dependencies\[0\]: A person confirms"):
        said("apply", str(file))
    assert not Service.objects.exists()


def test_every_problem_is_named_with_its_line(file):
    the_first_owner()
    file.write_text("gmud: 1\nservices:\n- {name: Cart, team: x}\nnothing: 1\n")

    with pytest.raises(CommandError) as caught:
        said("apply", str(file))
    assert "Nothing was applied.\n  line 3, services[0].name: A name has" in str(caught.value)
    assert "\n  line 4, nothing: " in str(caught.value)


def test_a_file_that_is_not_there_and_a_person_who_is_not(file):
    with pytest.raises(CommandError, match="cannot be read"):
        said("apply", str(file.with_name("other.yaml")))
    with pytest.raises(CommandError, match="no open account zoe"):
        said("apply", str(file), "--as", "zoe")


@pytest.fixture
def empty_house(tmp_path):
    """Return a function that runs a command of its own process on a database that nobody has used."""
    elsewhere = {"DATABASE_URL": f"sqlite:///{tmp_path / 'empty.sqlite3'}", "GMUD_DATA": str(tmp_path / "empty")}
    (tmp_path / "empty" / "static").mkdir(parents=True)

    def run(*arguments, given=""):
        command = (sys.executable, "manage.py", *arguments)
        return subprocess.run(
            command, cwd=ROOT, env={**os.environ, **elsewhere}, input=given, capture_output=True, text=True, check=True
        )

    run("migrate", "--verbosity", "0")
    return run


@pytest.mark.slow
def test_the_file_moves_into_a_database_that_nobody_has_used_and_comes_out_the_same(file, empty_house):
    the_first_owner()
    said("apply", str(file), "--as", "olga")
    a_token(name="Jenkins of the bank")
    out, err = io.StringIO(), io.StringIO()
    call_command("config", "export", stdout=out, stderr=err)
    written = out.getvalue()
    assert "to issue by hand: machine Jenkins of the bank (gate.ask, permit.redeem)" in err.getvalue()
    assert "Jenkins" not in written

    empty_house(
        *("bootstrap", "--username", "olga", "--name", "Olga Nunes", "--email", "olga@example.com", "--password-stdin"),
        given=f"{PASSWORD}\n",
    )
    assert "cart" not in empty_house("config", "export").stdout
    tried = empty_house("config", "apply", "-", "--dry-run", "--as", "olga", given=written)
    assert "Dry run, nothing was written" in tried.stdout
    assert "+ services cart" in empty_house("config", "apply", "-", "--as", "olga", given=written).stdout

    again = empty_house("config", "export")
    assert again.stdout == written
    assert again.stderr == ""
