"""What templates may say: sentences in the reader's language, moments as both how long ago and exactly when."""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from django import template
from django.utils import formats, timezone
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext, ngettext, pgettext

from releases.core import clock
from releases.core.errors import Reason, Sentence
from releases.core.words import counted
from releases.core.words import mark as _
from releases.web import looks, names

register = template.Library()

_COUNTED = frozenset({"count", "segments"})
_NUMBERS = re.compile(r"\b\d{4,}\b")
_HEXED = re.compile(r"[0-9a-f]{15,}")
_UNITS = ((60, 1, "s"), (3600, 60, "min"), (86400, 3600, "h"))


@register.filter
def say(words: object) -> str:
    """Return a sentence, a reason or any text in the reader's language; its parts are translated too."""
    if isinstance(words, Reason):
        return say(words.message)
    if isinstance(words, Sentence):
        forms = counted(words.text, words.parts)
        text = ngettext(words.text, *forms) if forms else gettext(words.text) if words.text else ""
        return text % _parts(words.parts) if words.parts else text
    if isinstance(words, datetime):
        return moment(words)
    return "" if words is None else str(words)


def _parts(parts: Mapping[str, object]) -> dict[str, object]:
    """Return the parts as they are said; two moments that would read the same are told apart by their seconds."""
    said = {name: _part(value, name) for name, value in parts.items()}
    before, after = parts.get("before"), parts.get("after")
    if isinstance(before, datetime) and isinstance(after, datetime) and said["before"] == said["after"]:
        said |= {"before": exactly(before), "after": exactly(after)}
    return said


def _part(value: object, name: str = "") -> object:
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, date):
        return day(value)
    if isinstance(value, Sentence | Promise | Reason):
        return say(value)
    if isinstance(value, list | tuple | frozenset | set):
        return either([_part(one, name) for one in value])
    if name in _COUNTED and isinstance(value, int | str):
        return _NUMBERS.sub(lambda found: number(int(found[0])), str(value))
    if isinstance(value, str):
        known = names.words_of(name, value)
        return both(known) if known else short(value) if value.startswith("sha256:") else value
    return formats.number_format(value) if isinstance(value, float) else value


@register.filter
def translated(text: str) -> str:
    """Return a stored key of the catalogue, like the source of a fact, in the reader's language."""
    return gettext(text) if text else ""


@register.filter
def either(names: Iterable[object]) -> str:
    """Return "Ana, Bruno or Lia"."""
    many = [say(name) for name in names]
    if len(many) < 2:
        return "".join(many)
    return gettext("%(first)s or %(last)s") % {"first": ", ".join(many[:-1]), "last": many[-1]}


@register.filter
def both(names: Iterable[object]) -> str:
    """Return "Ana, Bruno and Lia"."""
    many = [say(name) for name in names]
    if len(many) < 2:
        return "".join(many)
    return gettext("%(first)s and %(last)s") % {"first": ", ".join(many[:-1]), "last": many[-1]}


def _dated(at: datetime | date, shape: str) -> str:
    text = formats.date_format(at, shape)
    return text.lower() if (get_language() or "").startswith("pt") else text


@register.filter
def day(at: date) -> str:
    """Return "Sat 28 Nov"."""
    return _dated(at, pgettext("date format", "D j M"))


@register.filter
def moment(at: datetime | None) -> str:
    """Return "22:00" for today, "yesterday 22:00", "Sat 28 Nov, 22:00", with the year when it is another one."""
    if at is None:
        return ""
    local, today = timezone.localtime(at), timezone.localdate(clock.now())
    hour = local.strftime("%H:%M")
    near = {0: _("today %(hour)s"), 1: _("tomorrow %(hour)s"), -1: _("yesterday %(hour)s")}
    if text := near.get((local.date() - today).days):
        return gettext(text) % {"hour": hour}
    shape = pgettext("date format", "D j M, H:i") if local.year == today.year else pgettext("date format", "j M Y, H:i")
    return _dated(local, shape)


def end_of(start: datetime, end: datetime) -> datetime | str:
    """Return how the end of a span reads after its start: the hour alone on the same day."""
    return hour(end) if timezone.localdate(start) == timezone.localdate(end) else end


@register.filter
def this_day(when: datetime) -> str:
    """Return the day in full: "Thursday 19 November, 10:40"."""
    return _dated(timezone.localtime(when), pgettext("date format", "l j F, H:i"))


@register.filter
def hour(when: datetime) -> str:
    """Return "22:00" on the reader's clock."""
    return timezone.localtime(when).strftime("%H:%M")


@register.filter
def hour_and_seconds(when: datetime) -> str:
    """Return "22:00:07" on the reader's clock."""
    return timezone.localtime(when).strftime("%H:%M:%S")


@register.filter
def exactly(at: datetime) -> str:
    """Return the full moment with seconds and zone."""
    local = timezone.localtime(at)
    return _dated(local, pgettext("date format", "D j M Y, H:i:s")) + local.strftime(" %Z")


@register.filter
def at(when: datetime | None) -> SafeString | str:
    """Return a ``<time>`` that shows the moment and, on hover, exactly."""
    if when is None:
        return ""
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', timezone.localtime(when).isoformat(), exactly(when), moment(when)
    )


def words_of_time() -> dict[str, Any]:
    """Return the templates of relative times, which the page's clock uses as well."""
    return {
        "past": gettext("%s ago"),
        "future": gettext("in %s"),
        "day": gettext("day"),
        "days": gettext("days"),
    }


def _relative(seconds: float) -> str:
    words, size = words_of_time(), abs(int(seconds))
    for limit, unit, name in _UNITS:
        if size < limit:
            count = f"{size // unit} {name}"
            break
    else:
        days = size // 86400
        count = f"{days} {words['day'] if days == 1 else words['days']}"
    return str(words["future" if seconds > 0 else "past"]) % count


@register.filter
def ago(when: datetime | None) -> SafeString | str:
    """Return a ``<time>`` that shows "20 s ago" or "in 8 days", kept true by the page, and exactly on hover."""
    if when is None:
        return ""
    return format_html(
        '<time datetime="{}" title="{}" data-relative>{}</time>',
        timezone.localtime(when).isoformat(),
        exactly(when),
        _relative((when - clock.now()).total_seconds()),
    )


@register.filter
def elapsed(when: datetime | None) -> SafeString | str:
    """Return a ``<time>`` that counts up from the moment: "1 min 02 s"."""
    if when is None:
        return ""
    minutes, seconds = divmod(max(0, int((clock.now() - when).total_seconds())), 60)
    text = f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"
    return format_html('<time datetime="{}" data-elapsed>{}</time>', timezone.localtime(when).isoformat(), text)


@register.filter
def took(span: timedelta | None) -> str:
    """Return how long something took: "58 s", "4 min", "1 h 20 min"."""
    if span is None:
        return ""
    seconds = int(span.total_seconds())
    if seconds < 1:
        return f"{int(span.total_seconds() * 1000)} ms"
    if seconds < 120:
        return f"{seconds} s"
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


@register.filter
def short(digest: str) -> str:
    """Return a digest as people compare it: first and last hex digits; what is none stays as it is."""
    kind, _sep, hexed = digest.rpartition(":")
    if not _HEXED.fullmatch(hexed):
        return digest
    return f"{kind}{':' if kind else ''}{hexed[:6]}…{hexed[-5:]}"


@register.filter
def number(size: int) -> str:
    """Return a number with the reader's separators: "412,000" or "412.000"."""
    return formats.number_format(size, use_l10n=True, force_grouping=True)


@register.filter
def percent(value: float | None) -> str:
    """Return "97 %", or that it is not known."""
    return gettext("not known") if value is None else gettext("%(n)s %%") % {"n": f"{value:g}"}


register.filter("initials", looks.initials)


@register.simple_tag
def time_words() -> str:
    """Return the words of the page's clock as JSON, for an attribute."""
    return json.dumps(words_of_time(), ensure_ascii=False)


@register.simple_tag
def page_language() -> str:
    """Return the language of the page as HTML wants it: ``pt-BR``."""
    name, _sep, region = (get_language() or "en").partition("-")
    return f"{name}-{region.upper()}" if region else name
