"""The ring of keys that seals secrets."""

import base64
import json
import stat

import pytest

from releases.core import keyring
from releases.core.ownfile import BadFile

SECRET = "canary-secret-value"


def test_what_was_sealed_opens_with_the_same_text_only(tmp_path):
    ring = keyring.load(tmp_path)
    box = ring.seal(SECRET, bound_to="jenkins|secret|https://ci|1")
    assert SECRET.encode() not in box
    assert ring.open(box, bound_to="jenkins|secret|https://ci|1") == SECRET
    for other in ("jenkins|secret|https://evil|1", "jenkins|secret|https://ci|2", "other|secret|https://ci|1", ""):
        with pytest.raises(keyring.Unopenable):
            ring.open(box, bound_to=other)


def test_the_same_secret_is_sealed_differently_each_time(tmp_path):
    ring = keyring.load(tmp_path)
    assert len({ring.seal(SECRET, bound_to="x") for _ in range(50)}) == 50


def test_a_box_with_any_byte_changed_does_not_open(tmp_path):
    ring = keyring.load(tmp_path)
    box = ring.seal(SECRET, bound_to="x")
    for place in range(len(box)):
        broken = box[:place] + bytes((box[place] ^ 1,)) + box[place + 1 :]
        with pytest.raises(keyring.Unopenable):
            ring.open(broken, bound_to="x")
    for length in range(len(box)):
        with pytest.raises(keyring.Unopenable):
            ring.open(box[:length], bound_to="x")


def test_the_ring_is_made_once_and_only_its_owner_reads_it(tmp_path):
    first = keyring.load(tmp_path)
    assert keyring.load(tmp_path).keys == first.keys
    assert stat.S_IMODE((tmp_path / keyring.FILE).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [keyring.FILE]


def test_after_a_rotation_the_new_key_seals_and_the_old_one_still_opens(tmp_path):
    old = keyring.load(tmp_path)
    box = old.seal(SECRET, bound_to="x")
    name = keyring.rotate(tmp_path)
    ring = keyring.load(tmp_path)
    assert ring.first == name != old.first
    assert ring.open(box, bound_to="x") == SECRET
    assert keyring.key_name(ring.seal(SECRET, bound_to="x")) == name
    with pytest.raises(keyring.Unopenable):
        old.open(ring.seal(SECRET, bound_to="x"), bound_to="x")


def test_what_a_dropped_key_sealed_no_longer_opens(tmp_path):
    old = keyring.load(tmp_path)
    box = old.seal(SECRET, bound_to="x")
    keyring.rotate(tmp_path)
    keyring.drop(tmp_path, old.first)
    with pytest.raises(keyring.Unopenable):
        keyring.load(tmp_path).open(box, bound_to="x")
    with pytest.raises(BadFile):
        keyring.drop(tmp_path, keyring.load(tmp_path).first)


def test_a_ring_that_everybody_can_read_is_refused(tmp_path):
    keyring.load(tmp_path)
    (tmp_path / keyring.FILE).chmod(0o644)
    with pytest.raises(BadFile, match="0600"):
        keyring.load(tmp_path)


def _entry(key: bytes, kid: str = "k1") -> dict[str, str]:
    return {"kid": kid, "key": base64.b64encode(key).decode()}


@pytest.mark.parametrize(
    "content",
    [
        "not json",
        "{}",
        '{"keys": []}',
        '{"keys": [{"kid": "k1"}]}',
        '{"keys": [{"kid": "k1", "key": "not base64!"}]}',
        json.dumps({"keys": [_entry(b"short")]}),
        json.dumps({"keys": [_entry(bytes(range(32))), _entry(bytes(range(1, 33)))]}),
        json.dumps({"keys": [_entry(b"\x00" * 32)]}),
    ],
)
def test_a_ring_that_is_no_ring_is_refused_and_not_replaced(tmp_path, content):
    place = tmp_path / keyring.FILE
    place.write_text(content)
    place.chmod(0o600)
    with pytest.raises(BadFile):
        keyring.load(tmp_path)
    assert place.read_text() == content


def test_a_ring_does_not_show_its_keys_when_printed(tmp_path):
    ring = keyring.load(tmp_path)
    key = ring.keys[ring.first]
    assert repr(key) not in repr(ring)
    assert base64.b64encode(key).decode() not in repr(ring)
