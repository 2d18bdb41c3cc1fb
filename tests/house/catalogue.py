"""The translation catalogue: collect the sentences of code and templates, bring the file up to date, compile it.

``make messages`` runs it. Only sentences that are written out can be collected: ``_("...")`` in Python (the marker of
``releases.core.words`` or Django's functions) and ``{% translate %}``, ``{% blocktranslate %}`` in templates.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize

from tests.house.tree import ROOT, parsed, place, python_files, templates

LANGUAGES = ("pt_BR",)
# Which argument of each function is the context, the sentence, its plural.
FUNCTIONS = {
    **dict.fromkeys(("_", "mark", "gettext", "gettext_lazy", "gettext_noop", "now_in_words"), (None, 0, None)),
    **dict.fromkeys(("plural", "ngettext", "ngettext_lazy"), (None, 0, 1)),
    **dict.fromkeys(("pgettext", "pgettext_lazy"), (0, 1, None)),
    **dict.fromkeys(("npgettext", "npgettext_lazy"), (0, 1, 2)),
}
MARKERS = {"_", "mark", "plural", "gettext_noop", "gettext_lazy"}
STRING = r"u?(?:'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\")"
CALL_IN_TEMPLATE = re.compile(rf"(?<!\w)(?:_|n?p?gettext)\({STRING}(?:,\s*{STRING})*(?:,\s*count)?\)", re.DOTALL)
PART = re.compile(r"%\(\w+\)[a-z]")
HEADER = """\
# Translations of GMUD; the keys are the English sentences as they stand in code and templates.
msgid ""
msgstr ""
"Language: {language}\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Plural-Forms: nplurals=2; plural=(n > 1);\\n"

"""
Key = tuple[str, str]  # context, sentence


@dataclass(frozen=True, slots=True, order=True)
class Sentence:
    """One sentence to translate and where it stands; ``plural`` and ``context`` are empty when there is none."""

    file: str
    text: str
    plural: str = ""
    context: str = ""


def sentences(root: Path) -> Iterator[Sentence]:
    """Yield every sentence of code and templates."""
    for path in python_files(root, "releases", "gmud"):
        yield from _of(parsed(path), path.relative_to(root))
    for path in templates(root):
        calls = CALL_IN_TEMPLATE.findall(templatize(path.read_text(), origin=str(path)))
        yield from _of(ast.parse("\n".join(calls)), path.relative_to(root))


def untranslatable(root: Path) -> Iterator[str]:
    """Yield the markers around something that is not a written-out sentence."""
    for path in python_files(root, "releases", "gmud"):
        for call in _calls(parsed(path)):
            if _name(call) in MARKERS and not (call.args and _text(call.args[0])):
                yield f"{place(root, path, call.lineno)}: write the sentence out, with named parts: %(so)s"


def late_plurals(root: Path) -> Iterator[str]:
    """Yield the plurals that are said inside a function: who shows a kept sentence may never have called it."""
    for path in python_files(root, "releases", "gmud"):
        for function in (node for node in ast.walk(parsed(path)) if isinstance(node, ast.FunctionDef | ast.Lambda)):
            for call in _calls(function):
                if _name(call) == "plural":
                    yield f"{place(root, path, call.lineno)}: say plural() where the module is read, by a name"


def unmarked(root: Path) -> Iterator[str]:
    """Yield the errors for people whose text nobody can translate: text alone, and not a sentence."""
    errors, trees = {"GmudError"}, {path: parsed(path) for path in python_files(root, "releases")}
    classes = [node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    while more := {one.name for one in classes if errors & {ast.unparse(base) for base in one.bases}} - errors:
        errors |= more
    for path, tree in trees.items():
        for call in _calls(tree):
            if _name(call) in errors and call.args and isinstance(call.args[0], ast.Constant | ast.JoinedStr):
                yield f"{place(root, path, call.lineno)}: say it as a Sentence, so that it can be translated"


def po_file(root: Path, language: str) -> Path:
    """Return where the translations of a language stand."""
    return root / "locale" / language / "LC_MESSAGES" / "django.po"


def translations(root: Path, language: str) -> dict[Key, Message]:
    """Return what the catalogue of a language holds."""
    source = po_file(root, language)
    if not source.exists():
        return {}
    with source.open("rb") as file:
        return _by_key(read_po(file, locale=language))


def compiled(root: Path, language: str) -> dict[Key, Message]:
    """Return what the compiled catalogue holds."""
    source = po_file(root, language).with_suffix(".mo")
    if not source.exists():
        return {}
    with source.open("rb") as file:
        return _by_key(read_mo(file))


def update(root: Path, language: str) -> list[str]:
    """Write the catalogue again with today's sentences, compile it, and return the sentences without translation."""
    known, catalogue = translations(root, language), Catalog(locale=language, fuzzy=False)
    for sentence in sorted(set(sentences(root))):
        key = (sentence.text, sentence.plural) if sentence.plural else sentence.text
        old = known.get((sentence.context, sentence.text))
        keeps = old is not None and isinstance(old.id, tuple) == bool(sentence.plural)
        context = sentence.context or None
        catalogue.add(key, old.string if old and keeps else None, [(sentence.file, 0)], context=context)
    target = po_file(root, language)
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        file.write(HEADER.format(language=language).encode())
        write_po(file, catalogue, omit_header=True, include_lineno=False, width=110)
    catalogue.creation_date = catalogue.revision_date = datetime(2026, 1, 1, tzinfo=UTC)
    with target.with_suffix(".mo").open("wb") as file:
        write_mo(file, catalogue)
    return [text for (_, text), message in _by_key(catalogue).items() if not is_translated(message)]


def is_translated(message: Message) -> bool:
    """Say whether every form of the message has words."""
    forms = message.string if isinstance(message.string, list | tuple) else (message.string,)
    return bool(forms) and all(forms)


def has_the_same_parts(message: Message) -> bool:
    """Say whether the translation names exactly the parts of the sentence."""
    ids = message.id if isinstance(message.id, list | tuple) else (message.id,)
    forms = message.string if isinstance(message.string, list | tuple) else (message.string,)
    wanted = {part for text in ids for part in PART.findall(text)}
    return all(set(PART.findall(form)) <= wanted for form in forms) and wanted == {
        part for form in forms for part in PART.findall(form)
    }


def _of(tree: ast.Module, file: Path) -> Iterator[Sentence]:
    for call in _calls(tree):
        places = FUNCTIONS.get(_name(call))
        if places is None:
            continue
        context, text, plural = ("" if at is None else _argument(call, at) for at in places)
        if text:
            yield Sentence(str(file), text, plural, context)


def _by_key(catalogue: Iterable[Message]) -> dict[Key, Message]:
    found: dict[Key, Message] = {}
    for message in catalogue:
        text = message.id[0] if isinstance(message.id, list | tuple) else message.id
        context = message.context or ""
        if isinstance(context, bytes):  # as Babel reads it from a compiled catalogue
            context = context.decode()
        if text:
            found[(context, text)] = message
    return found


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _name(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def _argument(call: ast.Call, at: int) -> str:
    return _text(call.args[at]) if at < len(call.args) else ""


def _text(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


if __name__ == "__main__":
    for found in LANGUAGES:
        missing = update(ROOT, found)
        print(f"{found}: {len(missing)} sentences wait for a translation", *missing, sep="\n  ")
