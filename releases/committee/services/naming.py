"""Which policies go by the name of an environment: the catalogue asks before it moves such a name."""

from releases.committee.queries import proposed_policies, written_out
from releases.committee.services.policies import locked_current
from releases.core.errors import Sentence
from releases.core.words import mark as _


def policies_naming(environment: str) -> list[Sentence]:
    """Return, in words, the policies in force and proposed that name an environment; in the caller's transaction.

    The policy in force stays locked: nobody proposes another one before the caller is done.
    """
    current = locked_current()
    standing = [*([current] if current else []), *proposed_policies()]
    return [
        Sentence(_("version %(version)s of the policy"), {"version": policy.version})
        for policy in standing
        if any(rule.get("after_environment") == environment for rule in written_out(policy))
    ]
