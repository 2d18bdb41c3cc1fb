"""Everything that can be done in the committee."""

from releases.committee.services.deciding import vote_on_policy, withdraw_policy
from releases.committee.services.leaving import deactivate_person, revoke_role
from releases.committee.services.lending import delegate, revoke_delegation
from releases.committee.services.naming import policies_naming
from releases.committee.services.policies import check_policy, save_policy
from releases.committee.services.voting import cast, close_round, open_round

__all__ = [
    "cast",
    "check_policy",
    "close_round",
    "deactivate_person",
    "delegate",
    "open_round",
    "policies_naming",
    "revoke_delegation",
    "revoke_role",
    "save_policy",
    "vote_on_policy",
    "withdraw_policy",
]
