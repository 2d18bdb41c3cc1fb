"""Tell, withdraw, take on, send; choose what one hears; open channels."""

from releases.notify.services.channels import (
    ChannelDraft,
    change_channel,
    open_channel,
    remove_channel,
    reseal_channels,
    try_channel,
)
from releases.notify.services.choosing import Wanted, mute, subscribe, try_out, unmute
from releases.notify.services.keeping import forget
from releases.notify.services.sending import send_due
from releases.notify.services.taking import acknowledge, escalate
from releases.notify.services.telling import tell, withdraw

__all__ = [
    "ChannelDraft",
    "Wanted",
    "acknowledge",
    "change_channel",
    "escalate",
    "forget",
    "mute",
    "open_channel",
    "remove_channel",
    "reseal_channels",
    "send_due",
    "subscribe",
    "tell",
    "try_channel",
    "try_out",
    "unmute",
    "withdraw",
]
