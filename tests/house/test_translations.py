"""Every sentence people read is translated, and the compiled catalogue is the written one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house import catalogue
from tests.house.tree import ROOT

LANGUAGE = "pt_BR"


def findings(root: Path) -> Iterator[str]:
    """Yield what is missing, left over, unfinished, or compiled from an older file."""
    yield from catalogue.untranslatable(root)
    yield from catalogue.late_plurals(root)
    yield from catalogue.unmarked(root)
    written, shipped = catalogue.translations(root, LANGUAGE), catalogue.compiled(root, LANGUAGE)
    wanted = {(sentence.context, sentence.text): sentence for sentence in catalogue.sentences(root)}
    for key, sentence in sorted(wanted.items()):
        if key not in written:
            yield f"{sentence.file}: {sentence.text!r} is not in the catalogue"
    for key, message in sorted(written.items()):
        if key not in wanted:
            yield f"{key[1]!r} is in the catalogue and nowhere else"
        elif message.fuzzy or not catalogue.is_translated(message):
            yield f"{key[1]!r} waits for a translation"
        elif not catalogue.has_the_same_parts(message):
            yield f"{key[1]!r} and its translation name different parts"
        elif key not in shipped or _forms(shipped[key]) != _forms(message):
            yield f"{key[1]!r} is not compiled: make messages"


def _forms(message: catalogue.Message) -> list[str]:
    return list(message.string) if isinstance(message.string, list | tuple) else [message.string]


@pytest.fixture
def house(tmp_path):
    (tmp_path / "releases").mkdir()
    (tmp_path / "gmud").mkdir()
    (tmp_path / "templates").mkdir()
    (tmp_path / "releases" / "rules.py").write_text(
        'REASON = _("%(n)s open")\nCOUNT = plural("%(n)s test", "%(n)s tests", by="n")\n'
    )
    (tmp_path / "templates" / "page.html").write_text(
        """{% load i18n %}<c-x label="{% translate "Back" context "verb" %}">{{ _("It's (so)") }}</c-x>
        {% blocktranslate count n=n trimmed %}
          one day
        {% plural %}
          {{ n }} days
        {% endblocktranslate %}"""
    )
    catalogue.update(tmp_path, LANGUAGE)
    source = catalogue.po_file(tmp_path, LANGUAGE)
    written = source.read_text().replace("utf-8", "UTF-8")
    for one, many in (("%(n)s teste", "%(n)s testes"), ("um dia", "%(n)s dias")):  # in the order of the file
        written = written.replace('msgstr[0] ""', f'msgstr[0] "{one}"', 1)
        written = written.replace('msgstr[1] ""', f'msgstr[1] "{many}"', 1)
    for english, portuguese in (("%(n)s open", "%(n)s em aberto"), ("Back", "Voltar"), ("It's (so)", "É (assim)")):
        written = written.replace(f'msgid "{english}"\nmsgstr ""', f'msgid "{english}"\nmsgstr "{portuguese}"')
    source.write_text(written)
    catalogue.update(tmp_path, LANGUAGE)
    return tmp_path


def test_every_sentence_is_translated_and_compiled():
    assert list(findings(ROOT)) == []


def test_sentences_are_collected_from_code_and_templates(house):
    found = {(sentence.context, sentence.text, sentence.plural) for sentence in catalogue.sentences(house)}

    assert found == {
        ("", "%(n)s open", ""),
        ("verb", "Back", ""),
        ("", "It's (so)", ""),
        ("", "one day", "%(n)s days"),
        ("", "%(n)s test", "%(n)s tests"),
    }


def test_a_whole_catalogue_is_fine(house):
    assert list(findings(house)) == []


def test_a_missing_translation_is_found(house):
    with (house / "releases" / "rules.py").open("a") as file:
        file.write('OTHER = _("Choose another day.")\n')

    assert list(findings(house)) == ["releases/rules.py: 'Choose another day.' is not in the catalogue"]

    catalogue.update(house, LANGUAGE)

    assert list(findings(house)) == ["'Choose another day.' waits for a translation"]


def test_a_sentence_that_is_not_written_out_is_found(house):
    (house / "gmud" / "x.py").write_text('OTHER = _(f"Choose {day}.")\n')

    assert [finding.split(":")[0] for finding in findings(house)] == ["gmud/x.py"]


def test_a_plural_that_is_said_only_when_a_function_runs_is_found(house):
    (house / "gmud" / "x.py").write_text('def f():\n    return plural("%(n)s test", "%(n)s tests", by="n")\n')

    assert list(findings(house)) == ["gmud/x.py:2: say plural() where the module is read, by a name"]


def test_an_error_that_nobody_can_translate_is_found(house):
    (house / "releases" / "x.py").write_text(
        'class Gone(GmudError): ...\nclass Lost(Gone): ...\nraise Lost(f"{name} is lost.")\n'
    )

    assert list(findings(house)) == ["releases/x.py:3: say it as a Sentence, so that it can be translated"]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ('msgstr "Voltar"', 'msgstr "Retornar"', "is not compiled: make messages"),
        ('msgstr "%(n)s em aberto"', 'msgstr "%(m)s em aberto"', "name different parts"),
        ('msgstr "%(n)s em aberto"', 'msgstr "em aberto"', "name different parts"),
        ('msgid "Back"', 'msgid "Forth"', "is not in the catalogue"),
        ("#, python-format", "#, python-format, fuzzy", "waits for a translation"),
    ],
)
def test_an_edited_catalogue_is_found(house, before, after, told):
    source = catalogue.po_file(house, LANGUAGE)
    assert before in source.read_text()
    source.write_text(source.read_text().replace(before, after))

    assert any(told in finding for finding in findings(house))
