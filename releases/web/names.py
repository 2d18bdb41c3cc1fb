"""What stored keys are called: a sentence of a room below carries the key, and the page says the word."""

import re
from collections.abc import Mapping

from django.utils.functional import Promise, lazystr
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from releases.accounts.rights import Right
from releases.catalog.kinds import ConnectionKind, EnvironmentKind, Purpose
from releases.web import looks
from releases.web.looks import Look

Names = Mapping[str, str | Promise]

RIGHTS: Mapping[Right, str | Promise] = {
    Right.AUDIT_READ: _("read the audit record"),
    Right.CATALOG_EDIT: _("edit the catalog"),
    Right.CHANGE_FILE: _("file changes"),
    Right.CHANGE_READ: _("read changes"),
    Right.CHANGE_RELEASE: _("release changes"),
    Right.CHANGE_VOTE: _("vote"),
    Right.FREEZE_SET: _("freeze and stop the line"),
    Right.GATE_ASK: _("ask the gate"),
    Right.METRICS_READ: _("read metrics"),
    Right.PEOPLE_EDIT: _("edit people"),
    Right.PERMIT_REDEEM: _("redeem permits"),
    Right.POLICY_EDIT: _("propose policies"),
    Right.QUARANTINE_CLEAR: _("clear quarantines"),
    Right.ROLLBACK_BEGIN: _("go back"),
    Right.SYSTEM_ACT: _("act as the system"),
}
DATA: Names = {
    "personal": _("personal data"),
    "card": _("card data"),
    "money": _("money"),
}
ENVIRONMENTS: Names = {
    EnvironmentKind.PRODUCTION.value: pgettext_lazy("environment", "Production"),
    EnvironmentKind.STAGING.value: pgettext_lazy("environment", "Staging"),
    EnvironmentKind.DEVELOPMENT.value: pgettext_lazy("environment", "Development"),
}
SYSTEMS: Names = {
    ConnectionKind.JENKINS.value: "Jenkins",
    ConnectionKind.KUBERNETES.value: "Kubernetes",
    ConnectionKind.PROMETHEUS.value: "Prometheus",
    ConnectionKind.HTTP.value: pgettext_lazy("connection", "HTTP"),
    ConnectionKind.KONG.value: "Kong",
    ConnectionKind.APISIX.value: "APISIX",
    ConnectionKind.SPINNAKER.value: "Spinnaker",
}
PURPOSES: Names = {
    Purpose.DEPLOY.value: pgettext_lazy("purpose", "Deploy"),
    Purpose.TRAFFIC.value: pgettext_lazy("purpose", "Traffic"),
    Purpose.HEALTH.value: pgettext_lazy("purpose", "Health"),
    Purpose.BUDGET.value: pgettext_lazy("purpose", "Error budget"),
}
LEVELS: Names = {
    "low": pgettext_lazy("risk", "low"),
    "moderate": pgettext_lazy("risk", "moderate"),
    "high": pgettext_lazy("risk", "high"),
    "very_high": pgettext_lazy("risk", "very high"),
}
WORK: Names = {
    "deploy": pgettext_lazy("work", "deployment"),
    "restore": pgettext_lazy("work", "restoring of traffic"),
    "rollback": pgettext_lazy("work", "rollback"),
    "put_back": pgettext_lazy("work", "putting routes back"),
    "rollout": pgettext_lazy("work", "rollout"),
    "watch": pgettext_lazy("work", "watch"),
}
# Those who act in the record without being anybody.
SYSTEM: Names = {
    "bootstrap": pgettext_lazy("actor", "Installation"),
    "catalog": pgettext_lazy("actor", "Catalog"),
    "changes": pgettext_lazy("actor", "Changes"),
    "clock": pgettext_lazy("actor", "Clock"),
    "committee": pgettext_lazy("actor", "Committee"),
    "config": pgettext_lazy("actor", "Configuration"),
    "delivery": pgettext_lazy("actor", "Delivery"),
    "demo": pgettext_lazy("actor", "Demo"),
    "doors": pgettext_lazy("actor", "Sign-in"),
    "gate": pgettext_lazy("actor", "Gate"),
    "impact": pgettext_lazy("actor", "Impact assessment"),
    "notices": pgettext_lazy("actor", "Notices"),
    "provider": pgettext_lazy("actor", "Identity provider"),
    "rollback": pgettext_lazy("actor", "Rollback"),
    "rollout": pgettext_lazy("actor", "Rollout"),
    "setup": pgettext_lazy("actor", "Installation"),
    "sign-in": pgettext_lazy("actor", "Sign-in"),
    "traffic": pgettext_lazy("actor", "Traffic"),
    "worker": pgettext_lazy("actor", "Worker"),
}
VERBS: Names = {
    "submit": _("Submit"),
    "submit_standard": _("Submit"),
    "submit_emergency": _("Submit as an emergency"),
    "report": _("Report what ran"),
    "start": _("Start the rollout"),
    "roll_back": _("Go back"),
    "back_by_hand": _("End the rollback by hand"),
    "deployed": _("Report: deployed"),
    "failed": _("Report: failed"),
    "close": _("Write the review"),
    "revise": _("Edit"),
    "withdraw": _("Withdraw"),
    "hold": _("Put on hold"),
    "resume": _("Let it go on"),
    "supersede": _("Put another change in its place"),
    "cancel": _("Cancel"),
}


def small(word: str | Promise) -> str | Promise:
    """Return a word as it stands inside a sentence: with a small letter at the beginning."""
    return lazystr(_Small(word))


def _inside(names: Mapping[str, str | Promise | Look]) -> Names:
    return {str(key): small(one.word if isinstance(one, Look) else one) for key, one in names.items()}


class _Small:
    """A word that begins with a small letter, in the language of whoever reads it."""

    def __init__(self, word: str | Promise) -> None:
        self.word = word

    def __str__(self) -> str:
        word = str(self.word)
        return word if word[1:2].isupper() else word[:1].lower() + word[1:]


# Which keys a part of a sentence may hold, by the name of the part.
PARTS: Mapping[str, Names] = {
    "kind": {**_inside(ENVIRONMENTS), **SYSTEMS, **WORK},
    "kinds": {**DATA, **SYSTEMS},
    "level": LEVELS,
    "purpose": _inside(PURPOSES),
    "right": {key.value: word for key, word in RIGHTS.items()},
    "state": _inside({**looks.WORK, **looks.STATES}),
    "type": _inside(looks.TYPES),
    "verb": VERBS,
    "who": {**SYSTEM, **looks.ROLES},
}


def words_of(part: str, value: str) -> list[str | Promise] | None:
    """Return the words for one key, or for several with commas between them; ``None`` when it holds no key."""
    known = PARTS.get(part)
    if known is None:
        return None
    found = [known.get(key.replace(" ", "_")) or known.get(key) for key in re.split(r",\s*", value)]
    return [word for word in found if word is not None] if all(found) else None


def actor(name: str) -> str | Promise:
    """Return what somebody in the record is called: a person by name, the system by the part of it that acted."""
    return SYSTEM.get(name, name)
