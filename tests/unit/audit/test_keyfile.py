"""A key file is made once, for its owner alone, and used only while that is so."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from releases.core.keyfile import load, load_or_make
from releases.core.ownfile import BadFile


def test_no_file_is_no_key(tmp_path):
    assert load(tmp_path / "absent.pem") is None


def test_a_key_is_made_once_with_mode_0600(tmp_path):
    place = tmp_path / "keys" / "one.pem"

    made, again = load_or_make(place), load_or_make(place)

    assert made.private_bytes_raw() == again.private_bytes_raw()
    assert place.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in place.parent.iterdir()] == ["one.pem"]


def test_of_many_that_make_it_at_once_all_have_the_same(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: load_or_make(tmp_path / "one.pem").private_bytes_raw(), range(32)))

    assert len(set(keys)) == 1


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o620, 0o602])
def test_a_file_open_to_others_is_refused(tmp_path, mode):
    place = tmp_path / "one.pem"
    load_or_make(place)
    place.chmod(mode)

    with pytest.raises(BadFile, match="0600"):
        load(place)


def test_what_is_no_ed25519_key_is_refused(tmp_path):
    place = tmp_path / "one.pem"
    place.write_text("no key")
    place.chmod(0o600)
    with pytest.raises(BadFile, match="PEM"):
        load(place)

    place.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    with pytest.raises(BadFile, match="Ed25519"):
        load(place)
