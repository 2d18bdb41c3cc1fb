"""A checkpoint says exactly what was signed, in the form that other tools read."""

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from releases.audit.notes import BadNote, Statement, key_id, read, sign, verifier

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
STATEMENT = Statement(epoch=1, size=4711, root="ab" * 32, at_us=1_789_392_000_000_000)
NOTE = sign(STATEMENT, KEY)


def test_a_note_has_the_lines_of_a_checkpoint_and_one_signature():
    root = base64.b64encode(bytes.fromhex("ab" * 32)).decode()
    origin, size, told, time, gap, signature, end = NOTE.split("\n")

    assert (origin, size, told, time, gap, end) == (
        "gmud/audit/1",
        "4711",
        root,
        "time 1789392000000000",
        "",
        "",
    )
    assert signature.startswith("— gmud/audit/1 ")


def test_the_signature_is_ed25519_over_the_text_behind_the_key_id_of_c2sp():
    text, _, signature = NOTE.partition("\n\n")
    blob = base64.b64decode(signature.split(" ")[2])
    public = KEY.public_key()

    assert blob[:4] == hashlib.sha256(b"gmud/audit/1\n\x01" + public.public_bytes_raw()).digest()[:4]
    public.verify(blob[4:], (text + "\n").encode())


def test_a_note_is_read_back_with_any_of_our_keys():
    other = Ed25519PrivateKey.generate().public_key()

    assert read(NOTE, [other, KEY.public_key()]) == STATEMENT


@given(st.integers(1, 9), st.integers(1, 2**40), st.binary(min_size=32, max_size=32), st.integers(0, 2**53))
def test_every_statement_comes_back_as_it_went(epoch, size, root, at_us):
    statement = Statement(epoch=epoch, size=size, root=root.hex(), at_us=at_us)

    assert read(sign(statement, KEY), [KEY.public_key()]) == statement


@given(st.data())
def test_no_character_of_a_note_can_be_changed(data):
    place = data.draw(st.integers(0, len(NOTE) - 1))
    instead = data.draw(st.characters(min_codepoint=10, max_codepoint=126).filter(lambda one: one != NOTE[place]))

    with pytest.raises(BadNote):
        read(NOTE[:place] + instead + NOTE[place + 1 :], [KEY.public_key()])


@pytest.mark.parametrize(
    "note",
    [
        "",
        "\n\n",
        NOTE.rstrip("\n"),
        NOTE + "\n",
        NOTE + NOTE.splitlines()[-1] + "\n",
        NOTE.replace("4711", "04711"),
        NOTE.replace("time ", "time  "),
        NOTE.replace("gmud/audit/1", "gmud/audit/2"),
        NOTE.replace("4711", "٤٧١١"),
    ],
)
def test_another_form_is_refused(note):
    with pytest.raises(BadNote):
        read(note, [KEY.public_key()])


def test_the_signature_has_one_spelling():
    assert NOTE.endswith("=\n")  # two bits of the last letter say nothing
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    other = letters[letters.index(NOTE[-3]) ^ 1]
    respelled = NOTE[:-3] + other + "=\n"
    assert base64.b64decode(respelled.split(" ")[-1]) == base64.b64decode(NOTE.split(" ")[-1])

    with pytest.raises(BadNote):
        read(respelled, [KEY.public_key()])


def test_a_text_that_we_signed_in_another_form_is_refused_all_the_same():
    text = str(STATEMENT).replace("4711", "04711")
    hint = key_id("gmud/audit/1", KEY.public_key())
    signature = base64.b64encode(hint + KEY.sign(text.encode())).decode()

    with pytest.raises(BadNote, match="exact form"):
        read(f"{text}\n— gmud/audit/1 {signature}\n", [KEY.public_key()])


def test_a_stranger_is_refused_and_so_is_everybody_when_there_is_no_key():
    with pytest.raises(BadNote):
        read(NOTE, [Ed25519PrivateKey.generate().public_key()])
    with pytest.raises(BadNote):
        read(NOTE, [])


def test_the_public_key_is_told_in_the_form_that_other_tools_take():
    name, number, public = verifier(1, KEY.public_key()).split("+", 2)

    assert (name, len(number)) == ("gmud/audit/1", 8)
    assert base64.b64decode(public) == b"\x01" + KEY.public_key().public_bytes_raw()
