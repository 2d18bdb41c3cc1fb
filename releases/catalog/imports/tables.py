"""Read a CSV file of services, dependencies or customers; every flaw names its row and column. Pure.

The first row names the columns, and by them it is known what the file is of. Rows are counted as a spreadsheet shows
them: the header is row 1. Commas and semicolons separate; cells may be quoted and then hold line ends. UTF-8 with or
without its mark, Latin-1 and Windows-1252 are recognised, and it is said which one it was.
"""

import codecs
import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from releases.accounts.rules import folded
from releases.catalog.imports.said import Flaw, Key, Origin, Place, Reading, Said, Section
from releases.catalog.imports.values import FIELDS, Unreadable
from releases.catalog.kinds import DependencySource
from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.core.words import plural

MOST_ROWS = 20_000
_FORM = plural(
    "%(file)s: CSV of %(what)s, %(n)s row, separated by %(separator)s, in %(encoding)s",
    "%(file)s: CSV of %(what)s, %(n)s rows, separated by %(separator)s, in %(encoding)s",
    by="n",
)
_WHAT = {
    Section.SERVICES: _("services"),
    Section.DEPENDENCIES: _("dependencies"),
    Section.CUSTOMERS: _("customers"),
}
_SEPARATORS = {",": _("commas"), ";": _("semicolons")}
# By which columns a file is known; the first that fits.
_KNOWN_BY: Mapping[Section, frozenset[str]] = {
    Section.DEPENDENCIES: frozenset({"caller", "callee"}),
    Section.CUSTOMERS: frozenset({"name", "segment"}),
    Section.SERVICES: frozenset({"name"}),
}
_COLUMNS = frozenset(name for fields in FIELDS.values() for name in fields)


@dataclass(frozen=True, slots=True)
class _Header:
    """What the file is of, and which cell is which field; ``titles`` is how the file writes them."""

    section: Section
    cells: Mapping[str, int]
    titles: Mapping[str, str]
    width: int


class _Bad(Exception):
    """The file cannot be read on."""

    def __init__(self, row: int, column: str, sentence: Sentence) -> None:
        super().__init__(str(sentence))
        self.row, self.column, self.sentence = row, column, sentence


def is_table(text: str) -> bool:
    """Say whether a text begins like one of our CSV files."""
    first = next((line for line in text.removeprefix("\ufeff").splitlines() if line.strip()), "")
    return any(len(_COLUMNS & _titles(first, separator).keys()) > 1 for separator in _SEPARATORS)


def decoded(data: bytes) -> tuple[str, str]:
    """Return the text of a file, and what its encoding is called."""
    if data.startswith(codecs.BOM_UTF8):
        try:
            return data.decode("utf-8-sig"), "UTF-8 (BOM)"
        except UnicodeDecodeError:
            data = data.removeprefix(codecs.BOM_UTF8)
    try:
        return data.decode("utf-8"), "UTF-8"
    except UnicodeDecodeError:
        pass
    try:  # the two differ in 80 to 9F only, where Latin-1 has nothing that anybody types
        return (data.decode("cp1252"), "Windows-1252") if _C1 & set(data) else (data.decode("latin-1"), "Latin-1")
    except UnicodeDecodeError:
        return data.decode("latin-1"), "Latin-1"


def read_table(data: bytes, file: str) -> Reading:
    """Return what a CSV file says, and everything that is wrong with it, by row and column."""
    reading = Reading()
    try:
        _read(data, file, reading)
    except _Bad as bad:
        reading.flaws.append(Flaw(Place(file, row=bad.row), bad.column, bad.sentence))
    return reading


def _read(data: bytes, file: str, reading: Reading) -> None:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise _Bad(1, "file", Sentence(_("The file is UTF-16: save it as CSV UTF-8.")))
    text, encoding = decoded(data)
    if "\0" in text:
        row = text.count("\n", 0, text.index("\0")) + 1
        raise _Bad(row, "file", Sentence(_("There is a NUL sign in it, so it is no text: save the file as CSV again.")))
    separator = _separator(text)
    rows = _rows(text, separator)
    header = _header(next(rows, (1, []))[1], file, reading)
    before: dict[Key, int] = {}
    count = 0
    for number, cells in rows:
        if not any(cell.strip() for cell in cells):
            continue
        count += 1
        if count > MOST_ROWS:
            raise _Bad(number, "file", Sentence(_("The file has more than %(n)s rows: split it."), {"n": MOST_ROWS}))
        one = _thing(header, cells, Place(file, row=number), reading.flaws)
        if one is None:
            continue
        if (first := before.setdefault(one.key, number)) != number:
            sentence = Sentence(
                _("%(name)s stands in row %(row)s already: keep one."), {"name": one.name, "row": first}
            )
            reading.flaws.append(one.flaw(next(iter(FIELDS[header.section])), sentence))
            continue
        reading.said.append(one)
    form = {"what": Sentence(_WHAT[header.section]), "separator": Sentence(_SEPARATORS[separator])}
    reading.forms.append(Sentence(_FORM, {"file": file, "n": count, "encoding": encoding, **form}))


def _rows(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each row with its number, as a spreadsheet counts them."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    number = 0
    while True:
        number += 1
        try:
            yield number, next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            sentence = Sentence(_("This is no CSV (%(why)s): look at the quotes of this row."), {"why": str(error)})
            raise _Bad(number, "file", sentence) from error


def _separator(text: str) -> str:
    """Return what separates the names in the header: whichever finds more of the names we know, then more names."""
    first = next(iter(text.splitlines()), "")
    found = {one: _titles(first, one) for one in _SEPARATORS}
    return max(found, key=lambda one: (len(_COLUMNS & found[one].keys()), len(found[one])))


def _titles(line: str, separator: str) -> dict[str, str]:
    try:
        cells = next(csv.reader([line], delimiter=separator), [])
    except csv.Error:
        return {}
    return {_field(cell): cell.strip() for cell in cells}


def _field(title: str) -> str:
    return folded(title).replace(" ", "_").replace("-", "_")


def _header(cells: Sequence[str], file: str, reading: Reading) -> _Header:
    """Return what the columns are; those nobody knows are left alone, and it is said.

    :raises _Bad: nothing is recognised, or a column stands twice
    """
    titles = {_field(cell): cell.strip() for cell in cells if cell.strip()}
    section = next((one for one, known in _KNOWN_BY.items() if known <= titles.keys()), None)
    if section is None:
        text = _("Name the columns in the first row: name and team, caller and callee, or name and segment.")
        raise _Bad(1, "header", Sentence(text))
    places: dict[str, int] = {}
    for index, cell in enumerate(cells):
        name = _field(cell)
        if name in FIELDS[section] and name in places:
            raise _Bad(1, cell.strip(), Sentence(_("This column stands twice: keep one.")))
        places.setdefault(name, index)
    if unknown := [title for name, title in titles.items() if name not in FIELDS[section]]:
        text = _("%(file)s: these columns are left alone: %(names)s.")
        reading.left.append(Sentence(text, {"file": file, "names": ", ".join(one[:40] for one in unknown[:20])}))
    known = {name: place for name, place in places.items() if name in FIELDS[section]}
    return _Header(section, known, {name: titles[name] for name in known}, len(cells))


def _thing(header: _Header, cells: Sequence[str], place: Place, flaws: list[Flaw]) -> Said | None:
    """Return what a row says; ``None`` when something in it cannot be read, which is said."""
    if any(cell.strip() for cell in cells[header.width :]):
        parts = {"cells": len(cells), "columns": header.width}
        text = _("This row has %(cells)s cells, the header %(columns)s: put quotes around what holds a separator.")
        flaws.append(Flaw(place, "row", Sentence(text, parts)))
        return None
    values, is_whole = {}, True
    for name, rule in FIELDS[header.section].items():
        title = header.titles.get(name, name)
        cell = cells[header.cells[name]].strip() if name in header.cells and header.cells[name] < len(cells) else ""
        try:
            if cell:
                values[name] = rule.read(cell)
            elif rule.must:
                raise Unreadable(Sentence(_("This is missing: write it.")))
        except Unreadable as bad:
            flaws.append(Flaw(place, title, bad.sentence))
            is_whole = False
    if not is_whole:
        return None
    key = _key(header.section, values)
    return Said(header.section, key, values, place, Origin.CSV, header.titles)


def _key(section: Section, values: Mapping[str, str]) -> Key:
    if section is Section.DEPENDENCIES:
        return (values["caller"], values["callee"], DependencySource.CSV.value)
    return (folded(values["name"]),) if section is Section.CUSTOMERS else (values["name"],)


_C1 = frozenset(range(0x80, 0xA0))
