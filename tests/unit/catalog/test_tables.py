"""What is read from CSV files, whoever saved them, and how a bad row is named."""

import csv
import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from releases.catalog.imports.said import Reading, Section
from releases.catalog.imports.tables import is_table, read_table

SERVICES = "name,team,title\ncart,shop,Cart\n"
CELLS = st.text(st.characters(min_codepoint=32, exclude_categories=("C", "Z")) | st.just(" "), max_size=30).filter(
    lambda text: not text.strip().startswith(("=", "@", "+", "-"))
)


def read(data: bytes | str) -> Reading:
    return read_table(data.encode() if isinstance(data, str) else data, "a.csv")


def told(reading: Reading) -> list[str]:
    return [f"{flaw.place.row} {flaw.field}: {flaw.sentence}" for flaw in reading.flaws]


def test_the_header_says_what_a_file_is_of():
    assert read(SERVICES).said[0].values == {"name": "cart", "team": "shop", "title": "Cart"}
    edge = read("caller;callee;detail\ncart;pricing;prices\n").said[0]
    assert (edge.section, edge.key) == (Section.DEPENDENCIES, ("cart", "pricing", "csv"))
    customer = read("Name,Segment,Notice hours,Services\nAcme,retail,24,cart|pricing\n").said[0]
    assert customer.values == {"name": "Acme", "segment": "retail", "notice_hours": 24, "services": ["cart", "pricing"]}


@pytest.mark.parametrize(
    ("encoding", "text", "name"),
    [
        ("utf-8-sig", "Depósito", "UTF-8 (BOM)"),
        ("utf-8", "Depósito", "UTF-8"),
        ("latin-1", "Depósito", "Latin-1"),
        ("cp1252", "Depósito €", "Windows-1252"),
    ],
)
def test_the_encoding_is_recognised_and_said(encoding, text, name):
    reading = read(f"name;team;title\ncart;shop;{text}\n".encode(encoding))
    assert reading.said[0].values["title"] == text
    assert str(reading.forms[0]) == f"a.csv: CSV of services, 1 row, separated by semicolons, in {name}"


def test_quotes_hold_separators_line_ends_and_quotes():
    reading = read('name,team,description\ncart,shop,"one, ""two""\nthree"\npricing,shop,x\n')
    assert reading.said[0].values["description"] == 'one, "two"\nthree'
    assert reading.said[1].place.row == 3  # as a spreadsheet counts, not as an editor


def test_columns_nobody_knows_are_left_alone_and_said():
    reading = read("name,team,Cost centre\ncart,shop,42\n")
    assert not reading.flaws
    assert [str(one) for one in reading.left] == ["a.csv: these columns are left alone: Cost centre."]


def test_an_empty_cell_says_nothing_and_empty_rows_are_passed_over():
    reading = read("name,team,tier\ncart,shop,\n,,\n\npricing,shop,core\n")
    assert [one.values for one in reading.said] == [
        {"name": "cart", "team": "shop"},
        {"name": "pricing", "team": "shop", "tier": "core"},
    ]


@pytest.mark.parametrize(
    ("data", "flaw"),
    [
        ("name,team\nCart,shop\n", "2 name: A name has lower-case letters"),
        ("Name,Team\ncart,the shop\n", "2 Team: A name has lower-case letters"),
        ("name,team\n,shop\n", "2 name: This is missing"),
        ("name,team,criticality\ncart,shop,5\n", "2 criticality: Write a whole number from 1 to 4."),
        ("name,team,criticality\ncart,shop,-1\n", "2 criticality: Write a whole number"),
        ("name,team,criticality\ncart,shop,٣\n", "2 criticality: Write a whole number"),
        ("name,team,data_classes\ncart,shop,card|secret\n", "2 data_classes: “secret” is not one of them"),
        ("name,team,title\ncart,shop," + "x" * 121, "2 title: This is longer than 120 characters"),
        ('name,team,title\ncart,shop,"=HYPERLINK(1)"\n', "2 title: This begins like a formula"),
        ("name,team,title\ncart,shop,@SUM(A1)\n", "2 title: This begins like a formula"),
        ("name,team,title\ncart,shop,-2+3\n", "2 title: This begins like a formula"),
        ("name,team,title\ncart,shop,a\x07b\n", "2 title: There is a sign in it that nobody can see"),
        ("name,team\ncart,shop\ncart,shop\n", "3 name: cart stands in row 2 already"),
        ("name,team\ncart,shop,more\n", "2 row: This row has 3 cells, the header 2"),
        ('name,team\ncart,"shop\n', "2 file: This is no CSV"),
        ("name,name\ncart,shop\n", "1 name: This column stands twice"),
        ("colour,size\nred,1\n", "1 header: Name the columns"),
        ("", "1 header: Name the columns"),
        ("name,team\ncart,sh\0op\n", "2 file: There is a NUL sign in it"),
        ("name,segment,size\nAcme,retail,99999999999\n", "2 size: Write a whole number from 0 to 2147483647."),
    ],
)
def test_a_bad_row_is_named_with_its_column_and_its_fix(data, flaw):
    assert [one.startswith(flaw) for one in told(read(data))] == [True], told(read(data))


def test_what_is_no_text_for_us_says_how_to_save_it():
    assert "save it as CSV UTF-8" in told(read("name,team\n".encode("utf-16")))[0]


def test_more_rows_than_fit_are_refused_in_words():
    reading = read("name,team\n" + "".join(f"s{n},shop\n" for n in range(20_001)))
    assert told(reading) == ["20002 file: The file has more than 20000 rows: split it."]


def test_every_bad_row_is_named_at_once():
    reading = read("name,team\nA,shop\nb,shop\nC,shop\n")
    assert [flaw.place.row for flaw in reading.flaws] == [2, 4]


@given(st.lists(CELLS, min_size=1, max_size=8), st.sampled_from(",;"), st.sampled_from(("utf-8", "utf-8-sig")))
def test_what_a_spreadsheet_writes_is_what_we_read(titles, separator, encoding):
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator)
    writer.writerow(["name", "team", "title"])
    writer.writerows([f"service-{n}", "shop", title] for n, title in enumerate(titles))
    reading = read(out.getvalue().encode(encoding))
    assert not reading.flaws
    assert [one.values.get("title", "").split() for one in reading.said] == [
        unicodedata.normalize("NFC", title).split() for title in titles
    ]


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_named(data):
    reading = read(b"name,team,title\n" + data)
    assert all(str(flaw.sentence) and flaw.place.row for flaw in reading.flaws)


def test_a_pasted_text_is_told_from_yaml():
    assert is_table("\n" + SERVICES)
    assert not is_table("apiVersion: v1\nkind: Service\nmetadata: {name: x, team: y}")
    assert not is_table("")
