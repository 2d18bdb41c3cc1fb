"""Hand the record to somebody who does not trust us: signed JSON Lines, or a table for a spreadsheet.

Each line of the first holds the exact text that was hashed, its leaf hash, its place in the tree and what people wrote
beside it with the salt of its commitment. The last line holds the newest checkpoint and a signature (Ed25519, by the
key of checkpoints) over ``gmud/audit-export/1``, a newline and the canonical JSON of ``export``, which names the
SHA-256 of all lines before.
"""

import base64
import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings

from releases.audit import search
from releases.audit.envelope import parse
from releases.audit.keys import KEY
from releases.audit.models import AuditEvent, AuditText, Leaf
from releases.audit.moments import moment
from releases.audit.sealer import newest_checkpoint
from releases.audit.search import Asked
from releases.core import canonical, keyfile
from releases.core.errors import Refused, Sentence
from releases.core.words import mark as _


class Form(StrEnum):
    """How the record is handed over."""

    CSV = "csv"
    JSON_LINES = "jsonl"


DOMAIN = b"gmud/audit-export/1\n"
COLUMNS = ("time", "stream", "version", "kind", "actor_kind", "actor_id", "actor_name", "operation", "data", "text")
CONTROLS = ("\t", "\r", "\n")  # some programs drop these before they look
FORMULA = ("=", "+", "-", "@")  # after whatever blank signs; what makes a spreadsheet compute what it should only show


def of(form: Form, asked: Asked, *, by: str, at: datetime) -> Iterator[bytes]:
    """Return the events that were asked for in that form, some lines at a time.

    :raises Refused: they are to be signed, and there is no key
    :raises BadFile: others may read or change the file of the key, or it holds no key
    """
    return table(asked) if form is Form.CSV else json_lines(asked, key=signing_key(), by=by, at=at)


def signing_key() -> Ed25519PrivateKey:
    """Return the key that signs exports.

    :raises Refused: there is none yet
    :raises BadFile: others may read or change the file, or it holds no key
    """
    key = keyfile.load(Path(settings.GMUD_KEYS) / KEY)
    if key is None:
        raise Refused(Sentence(_("The key of checkpoints is missing, so nothing can be signed. Start the sealer.")))
    return key


def json_lines(asked: Asked, *, key: Ed25519PrivateKey, by: str, at: datetime) -> Iterator[bytes]:
    """Yield the events that were asked for, a line each, and the signed line that ends them."""
    whole, events = hashlib.sha256(), 0
    for some in search.in_turn(asked):
        texts, places = _beside(some)
        for event in some:
            document: dict[str, Any] = {"body": event.body, "leaf_hash": event.leaf_hash}
            document |= {"tree_index": places.get(event.event_id), "texts": texts.get(event.event_id, {})}
            line = canonical.encode(document) + b"\n"
            whole.update(line)
            events += 1
            yield line
    newest = newest_checkpoint()
    export = {
        "at": at.isoformat(),
        "by": by,
        "asked": asked.as_json(),
        "events": events,
        "sha256": whole.hexdigest(),
        "checkpoint": newest.note if newest else "",
    }
    signature = base64.b64encode(key.sign(DOMAIN + canonical.encode(export))).decode()
    yield canonical.encode({"export": export, "signature": signature}) + b"\n"


def table(asked: Asked) -> Iterator[bytes]:
    """Yield the events that were asked for as CSV with a head (UTF-8, RFC 4180); nothing in it is a formula."""
    yield _row(COLUMNS)
    for some in search.in_turn(asked):
        texts, _places = _beside(some)
        for event in some:
            document = parse(event.body)
            actor = document["actor"]
            said = {name: one["body"] for name, one in texts.get(event.event_id, {}).items()}
            yield _row(
                (
                    moment(event.occurred_us).isoformat(),
                    event.stream,
                    str(event.stream_version),
                    event.kind,
                    actor["kind"],
                    actor["id"],
                    actor["name"],
                    document["operation"],
                    json.dumps(document["data"], ensure_ascii=False, sort_keys=True),
                    json.dumps(said, ensure_ascii=False, sort_keys=True) if said else "",
                )
            )


def harmless(cell: str) -> str:
    """Return the cell with an apostrophe before anything that a spreadsheet would take for a formula."""
    begins_blank = cell.lstrip(" ").startswith(CONTROLS)
    return f"'{cell}" if begins_blank or cell.lstrip().startswith(FORMULA) else cell


def _row(cells: Sequence[str]) -> bytes:
    line = io.StringIO()
    csv.writer(line).writerow([harmless(cell) for cell in cells])
    return line.getvalue().encode()


def _beside(events: Iterable[AuditEvent]) -> tuple[dict[UUID, dict[str, dict[str, str]]], dict[UUID, int]]:
    """Return what people wrote beside these events, and the places of these events in the tree."""
    ids = [event.event_id for event in events]
    texts: dict[UUID, dict[str, dict[str, str]]] = {}
    for one in AuditText.objects.filter(event_id__in=ids):
        texts.setdefault(one.event_id, {})[one.field] = {"salt": one.salt, "body": one.body}
    return texts, dict(Leaf.objects.filter(event_id__in=ids).values_list("event_id", "tree_index"))
