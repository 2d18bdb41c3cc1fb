"""The witness's file only grows, and its end is found without reading all of it."""

import pytest

from releases.audit.witness import BadLine, FileWitness


@pytest.fixture
def witness(tmp_path) -> FileWitness:
    return FileWitness(tmp_path / "deep" / "checkpoints.jsonl")


def keep(witness: FileWitness, size: int) -> None:
    with witness.turn():
        witness.keep(epoch=1, size=size, root="ab" * 32, note=f"note of {size} —")


def test_a_witness_that_saw_nothing_says_so(witness):
    assert (witness.last(), list(witness.all())) == (None, [])


def test_what_it_saw_comes_back_in_order(witness):
    for size in (1, 5, 9):
        keep(witness, size)

    assert [(one.line, one.size, one.note) for one in witness.all()] == [
        (1, 1, "note of 1 —"),
        (2, 5, "note of 5 —"),
        (3, 9, "note of 9 —"),
    ]
    assert witness.last().size == 9


def test_the_end_of_a_long_file_is_found(witness):
    for size in range(1, 300):
        keep(witness, size)
    with witness.place.open("a") as file:
        file.write("x" * 40_000)  # longer than what is read at first

    assert witness.last().size == 299


def test_a_torn_line_is_told_and_the_next_one_starts_on_its_own(witness):
    keep(witness, 1)
    with witness.place.open("a") as file:
        file.write('{"epoch":')
    keep(witness, 2)

    assert [type(one) for one in witness.all()][1] is BadLine
    assert witness.last().size == 2


def test_the_file_is_its_owners_alone(witness):
    keep(witness, 1)

    assert witness.place.stat().st_mode & 0o777 == 0o600
