"""Say notices in their reader's language, on their reader's clock: one letter out of one or several of them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import formats, timezone, translation
from django.utils.translation import gettext, ngettext, pgettext

from releases.core.errors import Sentence
from releases.core.words import counted
from releases.notify import wording
from releases.notify.kinds import Topic
from releases.notify.models import Notice
from releases.notify.ports import Item, Letter
from releases.notify.rules import MANNERS

SUBJECT_LETTERS = 150


def compose(notices: Sequence[Notice], *, language: str, zone: str) -> Letter:
    """Return one letter with all of these notices, which go to one addressee."""
    first = notices[0]
    with _read_by(language, zone):
        items = tuple(_item(notice) for notice in notices)
        followed = first.follows if len(notices) == 1 else None
        return Letter(
            id=str(first.pk),
            thread=":".join(first.case.split(":")[:2]),
            subject=_subject(items),
            items=items,
            open=gettext("Open in GMUD"),
            footer=_footer(first, items),
            footer_url=settings.PUBLIC_URL + ("/settings/channels" if first.channel_id else "/notices"),
            told_at=first.told_at,
            language=language,
            is_page=MANNERS[Topic(first.topic)].is_page and followed is None,
            is_settled=followed is not None,
            answers=str(followed.pk) if followed else "",
        )


def say(sentence: Sentence) -> str:
    """Return a sentence in the active language, its moments on the active clock."""
    forms = counted(sentence.text, sentence.parts)
    text = ngettext(sentence.text, *forms) if forms else gettext(sentence.text)
    return text % {name: _said(part) for name, part in sentence.parts.items()} if sentence.parts else text


def _said(part: object) -> object:
    if isinstance(part, Sentence):
        return say(part)
    if isinstance(part, datetime):
        local = timezone.localtime(part)
        return formats.date_format(local, pgettext("date format", "D j M, H:i")) + local.strftime(" %Z")
    return ", ".join(str(_said(one)) for one in part) if isinstance(part, list) else part


def _item(notice: Notice) -> Item:
    facts = {"topic": notice.topic, "case": notice.case}
    said = say(wording.read(notice.reason))
    lines = tuple(say(wording.read(line)) for line in notice.lines)
    return Item(said, lines, settings.PUBLIC_URL + notice.link, facts)


def _subject(items: Sequence[Item]) -> str:
    if len(items) == 1:
        return wording.plain(items[0].reason)[:SUBJECT_LETTERS]
    return ngettext("%(n)s notice", "%(n)s notices", len(items)) % {"n": len(items)}


def _footer(notice: Notice, items: Sequence[Item]) -> str:
    if notice.channel_id:
        return gettext("GMUD tells this channel what it subscribed to.")
    if len(items) > 1:
        return gettext("GMUD gathered these for you. Choose what you hear, and when, on your page of notices.")
    parts = {"topic": gettext(MANNERS[Topic(notice.topic)].title)}
    return gettext("GMUD tells you about “%(topic)s”. Choose what you hear on your page of notices.") % parts


@contextmanager
def _read_by(language: str, zone: str) -> Iterator[None]:
    with translation.override(language or settings.LANGUAGE_CODE), timezone.override(ZoneInfo(zone)):
        yield
