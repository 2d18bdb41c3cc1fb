"""Which tables of traffic are only ever added to, and what makes a row of each the same row."""

KEYS = {
    "releases_shift": "id = NEW.id OR op_key = NEW.op_key",
    "releases_shiftend": "id = NEW.id OR (shift_id = NEW.shift_id AND turn = NEW.turn)",
}
