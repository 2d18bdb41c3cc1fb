"""Look at the whole record in one snapshot and name every row that is not as it was written.

Chain: order inside a stream. Tree: nothing missing, nothing added. Signatures: the tree was ours. Witness: it still
is the same tree. Reads the tables by SQL, not through models, because a row that was tampered with may not load.

What nobody can see: an event that was removed, together with its waiting entry, in the second before it was sealed.
"""

from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.conf import settings
from django.db import connection

from releases.audit import guards
from releases.audit.keys import public_keys
from releases.audit.models import Checkpoint
from releases.audit.moments import database_us
from releases.audit.report import Report
from releases.audit.sealer import witness_of_settings
from releases.audit.verification import beginnings, sealed, witnessed, written
from releases.audit.verification.looking import Look
from releases.audit.verification.reading import snapshot
from releases.audit.witness import FileWitness
from releases.core.errors import GmudError, Sentence
from releases.core.ownfile import BadFile
from releases.core.words import mark as _


class CannotVerify(GmudError):
    """The record cannot be looked at: a key or a table is missing."""

    code = "audit_cannot_verify"
    status = 503


class Verification:
    """One look; use it once."""

    @classmethod
    def of_settings(cls) -> "Verification":
        """Hold the record against the witness and the keys of this installation.

        :raises CannotVerify: a key cannot be used, or there is no key and there are signatures
        """
        try:
            keys = public_keys(Path(settings.GMUD_KEYS))
        except BadFile as error:
            raise CannotVerify(Sentence(_("A key cannot be used: %(why)s"), {"why": str(error)})) from error
        witness = witness_of_settings()
        if not keys and (witness.last() or Checkpoint.objects.exists()):
            raise CannotVerify(_("The key that signed the record is not in the folder of keys."))
        return cls(witness=witness, keys=keys)

    def __init__(self, *, witness: FileWitness, keys: Sequence[Ed25519PublicKey]) -> None:
        """Keep what the record is held against."""
        self.witness = witness
        self.look = Look(keys)

    def run(self) -> Report:
        """Look at everything, the witness first: what it saw was committed before."""
        seen = list(self.witness.all())
        look = self.look
        with snapshot():
            look.now = database_us()
            _guards(look)
            beginnings.read(look)
            witnessed.compare(look, seen)
            sealed.checkpoints(look)
            sealed.tree(look)
            erased = written.events(look)
            written.strays(look, erased)
        return look.report


def _guards(look: Look) -> None:
    for name in guards.missing(connection):
        table = name.split("_no_")[0]
        message = _("The trigger that keeps the table append-only is not in place.")
        look.find(table, name, "", message, contradicts=False)
