"""What differs between two contents is named field by field, also deep inside an item."""

from releases.changes.document import differences


def test_a_field_of_one_of_several_items_is_named_by_its_place():
    before = {"items": [{"artifact": "one"}, {"artifact": "two"}]}
    after = {"items": [{"artifact": "one"}, {"artifact": "three"}]}

    assert differences(before, after) == [("items.2.artifact", "two", "three")]


def test_another_number_of_items_is_one_difference():
    assert differences({"items": [1]}, {"items": [1, 2]}) == [("items", [1], [1, 2])]


def test_what_is_the_same_is_not_named():
    same = {"title": "A", "window": {"starts_us": 1}, "items": [{"artifact": "one"}]}

    assert differences(same, dict(same)) == []
