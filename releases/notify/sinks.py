"""Hand a letter over, wherever it goes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from releases.catalog import secrets
from releases.core.http import Allowance, Door
from releases.notify import mail
from releases.notify.kinds import ChannelKind, Sink
from releases.notify.models import Channel
from releases.notify.ports import Address, Letter, Poster
from releases.notify.slack.adapter import Slack
from releases.notify.teams.adapter import Teams
from releases.notify.webhook.adapter import Webhook

POSTERS: Mapping[ChannelKind, Poster] = {
    ChannelKind.SLACK: Slack(),
    ChannelKind.TEAMS: Teams(),
    ChannelKind.WEBHOOK: Webhook(),
}
SINK_OF: Mapping[ChannelKind, Sink] = {kind: Sink(kind.value) for kind in ChannelKind}


def to_channel(letter: Letter, channel: Channel, *, now: datetime) -> None:
    """Hand a letter to a channel; outside any transaction.

    :raises Rejected: a clear no; the address is not allowed
    :raises Unreachable: not now
    :raises Refused: the secret does not open: the address was changed behind our back
    """
    kind = ChannelKind(channel.kind)
    if kind is ChannelKind.EMAIL:
        mail.send(letter, to=channel.address)
        return
    poster = POSTERS[kind]
    post = poster.post(letter, to=Address(channel.path, _secrets(channel, now)), now=now)
    door = Door(
        name=f"channel {channel.name}",
        origin=channel.origin,
        headers={},
        allowance=Allowance.from_environment(),
        urgent=letter.is_page,
    )
    poster.check(door.call("POST", post.path, headers=post.headers, content=post.content))


@dataclass(frozen=True, slots=True)
class _Previous:
    """A channel as it stood when its previous secret was sealed."""

    pk: UUID
    name: str
    origin: str
    secret_version: int
    secret_box: bytes | memoryview | None


def _secrets(channel: Channel, now: datetime) -> tuple[str, ...]:
    """Return the secret, and the one before it while both count."""
    found = (secrets.opened(channel),)
    if channel.previous_box is None or channel.previous_until_at is None or channel.previous_until_at <= now:
        return found
    before = _Previous(
        channel.pk, channel.name, channel.origin, channel.secret_version - 1, bytes(channel.previous_box)
    )
    return (*found, secrets.opened(before))
