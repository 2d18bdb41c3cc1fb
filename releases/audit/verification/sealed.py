"""Hold the tree against what was signed: by the witness's lines and by the checkpoints."""

from releases.audit.epochs import Sealed
from releases.audit.merkle import Frontier
from releases.audit.verification.looking import AHEAD_US, Look, differing
from releases.audit.verification.reading import rows
from releases.core.errors import Sentence
from releases.core.words import mark as _

LAG_US = 60_000_000  # a checkpoint may wait for its witness this long
RESTORED = _("Was an older copy restored? Then own up to what it does not hold: manage.py audit epoch.")
CHECKPOINTS = "SELECT epoch, tree_size, root, note FROM audit_checkpoint ORDER BY tree_size, epoch"


def checkpoints(look: Look) -> None:
    """Take from each checkpoint what was signed of the tree, and when."""
    there: set[int] = set()
    for epoch, size, root, note in rows(CHECKPOINTS):
        row = f"checkpoint of {size} events"
        said = look.said("audit_checkpoint", row, note)
        if said is None:
            continue
        for column in differing(("epoch", "tree_size", "root"), (epoch, size, root), said):
            look.find("audit_checkpoint", row, column, _("The column says something else than the note."))
        if not look.lineage.counts(Sealed(said.epoch, said.size, said.root)):
            look.find("audit_checkpoint", row, "epoch", _("It is of an epoch that was left at a smaller size."))
            continue
        there.add(said.size)
        look.roots.setdefault(said.size, []).append(("audit_checkpoint", row, said.root))
        if look.times and said.at_us + AHEAD_US < look.times[-1][1]:
            message = _("It is older than the checkpoint before it.")  # the database's clock may have been set
            look.find("audit_checkpoint", row, "note", message, contradicts=False)
        look.times.append((said.size, said.at_us))
    seen = {size for size, told in look.roots.items() if any(table == "witness" for table, _row, _root in told)}
    for size in sorted(seen):
        if size not in there:
            look.find("audit_checkpoint", f"checkpoint of {size} events", "", _("The witness has it; it is gone."))
    look.times.sort()


def tree(look: Look) -> None:
    """Grow the tree again from its leaves and compare it at every size somebody signed."""
    frontier = Frontier()
    whole = True
    for index, digest in rows("SELECT tree_index, leaf_hash FROM audit_leaf ORDER BY tree_index"):
        if index != frontier.size:
            look.find("audit_leaf", f"leaf {frontier.size}", "", _("The leaf is missing: its event was removed."))
            whole = False
            break
        try:
            frontier.append(bytes.fromhex(digest))
        except ValueError:
            look.find("audit_leaf", f"leaf {index}", "leaf_hash", _("This is no hash."))
            whole = False
            break
        if not _root(look, frontier):
            whole = False
            break
    look.report.sealed_size = frontier.size
    if whole:
        _ends(look, frontier.size)
    waited = look.now - _unwitnessed_since(look) > LAG_US
    look.report.is_witnessed = look.report.witnessed_size > 0 and not waited


def _root(look: Look, frontier: Frontier) -> bool:
    """Hold the tree against what was signed at this size; the first difference says where to look."""
    told = look.roots.get(frontier.size, [])
    root = frontier.root().hex() if told else ""
    wrong = [(table, row) for table, row, said in told if said != root]
    sentence = _("The tree has another root: one of the leaves %(first)s to %(last)s was rewritten.")
    for table, row in wrong:
        where = {"first": look.right, "last": frontier.size - 1}
        look.find(table, row, "root", Sentence(sentence, where))
    if told and not wrong:
        look.right = frontier.size
    return not wrong


def _ends(look: Look, size: int) -> None:
    largest = max(look.roots, default=0)
    if size < largest:
        sentence = Sentence(_("The last %(count)s sealed events were cut off."), {"count": largest - size})
        look.find("audit_leaf", f"leaves {size} to {largest - 1}", "", sentence)
        look.report.notes.append(Sentence(RESTORED))
    elif size > largest:
        cut = f"leaves {largest} to {size - 1}"
        look.find("audit_leaf", cut, "", _("No checkpoint covers them: they were not written by the sealer."))


def _unwitnessed_since(look: Look) -> int:
    """Return since when the oldest checkpoint waits for its witness."""
    return next((at for size, at in look.times if size > look.report.witnessed_size), look.now)
