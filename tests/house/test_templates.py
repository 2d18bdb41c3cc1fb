"""Templates carry no style, script or handler of their own: the content security policy would stop them."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.tree import ROOT, place, templates

TAG = re.compile(r"<(?P<tag>[a-zA-Z][\w.-]*)(?P<attributes>(?:\"[^\"]*\"|'[^']*'|[^'\">])*)>", re.DOTALL)
ATTRIBUTE = re.compile(r"(?:^|[\s\"'])(?P<name>[:@\w.-]+)\s*=")
LOGIC = re.compile(r"\{#.*?#\}|\{% comment.*?%\}.*?\{% endcomment %\}", re.DOTALL)
STRINGS = re.compile(r"\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
OFFENCES = (
    (re.compile(r"^on\w+$|^hx-on\b.*|^@.*", re.IGNORECASE), "a handler: bind it in a module under static/js"),
    (re.compile(r"^style$", re.IGNORECASE), "a style: give it a class in static/css"),
)


def findings(root: Path) -> Iterator[str]:
    """Yield every inline style, script, handler and ``javascript:`` address."""
    for path in templates(root):
        if "emails" in path.relative_to(root).parts:  # mail programs know no style sheets
            continue
        text = LOGIC.sub(_blank, path.read_text())
        for tag in TAG.finditer(STRINGS.sub(_blank, text)):
            line = text.count("\n", 0, tag.start()) + 1
            for what in _offences(tag["tag"].lower(), tag["attributes"]):
                yield f"{place(root, path, line)}: {what}"


def _offences(tag: str, attributes: str) -> Iterator[str]:
    outside_values = re.sub(r"\"[^\"]*\"|'[^']*'", '""', attributes)
    names = [match["name"] for match in ATTRIBUTE.finditer(outside_values)]
    if tag == "style":
        yield "a style: give it a class in static/css"
    if tag == "script" and "src" not in names and 'type="application/json"' not in attributes:
        yield "a script: put it under static/js"
    if "javascript:" in attributes.lower():
        yield "a script in an address"
    for pattern, sentence in OFFENCES:
        if any(pattern.match(name) for name in names):
            yield sentence


def _blank(match: re.Match[str]) -> str:
    return "\n" * match[0].count("\n")


def test_templates_carry_no_style_script_or_handler():
    assert list(findings(ROOT)) == []


@pytest.mark.parametrize(
    "planted",
    [
        '<p style="color: red">x</p>',
        "<p class='a'\n   style = 'x'>y</p>",
        '<button type="button" onclick="go()">x</button>',
        '<div hx-on::after-request="go()"></div>',
        "<style>p { color: red }</style>",
        "<script>go()</script>",
        '<a href="javascript:go()">x</a>',
        '<div {% if a > b %}style="x"{% endif %}></div>',
    ],
)
def test_an_inline_offence_is_found(tmp_path, planted):
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "page.html").write_text(f"<main>\n{planted}\n</main>\n")

    assert [finding.split(": ")[0] for finding in findings(tmp_path)] == ["templates/page.html:2"]


@pytest.mark.parametrize(
    "fine",
    [
        '<p data-tip="write style=none" class="x">x</p>',
        '<script type="module" src="{% static "js/live.js" %}"></script>',
        '<script type="application/json" id="facts">{}</script>',
        '{# <p style="x"> #}<p>x</p>',
        '<input name="one" value="1">',
    ],
)
def test_what_only_looks_like_an_offence_is_fine(tmp_path, fine):
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "page.html").write_text(fine)

    assert list(findings(tmp_path)) == []
