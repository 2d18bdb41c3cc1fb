"""Forms of the settings: what was typed, what was there before, and signs that nobody sees."""

from datetime import UTC, datetime

import pytest
from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict

from releases.audit.actor import system
from releases.core.errors import Invalid
from releases.web.pages.settings.form import SettingForm, Text, as_text, no_hidden

ACTOR = system("test")


class CarForm(SettingForm):
    """A form with a field of every kind that matters here."""

    name = Text(max_length=10)
    colors = forms.MultipleChoiceField(choices=[("red", "Red"), ("blue", "Blue")], required=False)
    key = forms.CharField(widget=forms.PasswordInput, required=False)


def a_form(data: str = "", **more):
    return CarForm(QueryDict(data), actor=ACTOR, **more)


@pytest.mark.parametrize("text", ["Ana\x07", "Ana\u202e", "A\u200bna", "A\ud800"])
def test_what_nobody_sees_is_refused(text):
    with pytest.raises(ValidationError):
        no_hidden(text)


@pytest.mark.parametrize("text", ["Ana Sá", "two\r\nlines\t", "日本", ""])
def test_what_everybody_sees_is_fine(text):
    no_hidden(text)


def test_a_field_changed_meanwhile_says_what_it_is_now_and_the_others_stay():
    form = a_form("name=mine&was-name=old&colors=red&was-colors=[]", read=lambda: {"name": "theirs", "colors": []})

    with pytest.raises(Invalid) as changed:
        form.unchanged()

    assert list(changed.value.fields) == ["name"]
    assert form.take(changed.value)
    assert "theirs" in form.errors["name"][0]


def test_what_is_there_is_read_when_it_is_asked_and_not_when_the_form_was_made():
    there = {"name": "old"}
    form = a_form("name=mine&was-name=old", read=lambda: there)
    form.unchanged()

    there["name"] = "theirs"

    with pytest.raises(Invalid):
        form.unchanged()


def test_a_form_opened_on_what_is_there_now_is_current_in_whatever_order():
    was = as_text(["blue", "red"])
    form = a_form(f"name=mine&was-name=now&was-colors={was}", read=lambda: {"name": "now", "colors": ["red", "blue"]})

    form.unchanged()


def test_a_secret_is_neither_printed_nor_carried_in_an_address():
    form = a_form("name=mine&key=secret-123&colors=red&colors=blue")

    assert "secret-123" not in str(list(form.inputs()))
    assert form.typed() == "name=mine&colors=red&colors=blue"
    filled = CarForm(actor=ACTOR, filled=QueryDict("name=asked&key=secret-123&colors=red"))
    printed = {one.name: one for one in filled.inputs()}
    assert (printed["name"].value, printed["key"].value, printed["colors"].values) == ("asked", "", ("red",))


def test_what_the_service_says_of_a_field_stands_under_it():
    form = a_form("name=mine")
    assert form.take(Invalid("No.", fields={"name": ["It is taken."]}))
    assert form.errors["name"] == ["It is taken."]
    assert not a_form("name=mine").take(Invalid("No.", fields={"wheels": ["Too few."]}))
    assert not a_form("name=mine").take(Invalid("No."))


def test_a_moment_is_compared_as_the_page_shows_it():
    assert as_text(datetime(2026, 11, 21, 12, 0, 59, tzinfo=UTC)) == as_text(datetime(2026, 11, 21, 12, 0, tzinfo=UTC))
    assert as_text(None) == ""
