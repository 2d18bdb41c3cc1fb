"""Forget what was told long ago: notices carry what people wrote, and nobody looks for them any more."""

from datetime import datetime, timedelta

from django.db import transaction

from releases.notify.models import Notice
from releases.notify.states import NoticeState

KEPT = timedelta(days=90)
AT_ONCE = 500


@transaction.atomic(durable=True)
def forget(*, now: datetime) -> int:
    """Remove notices that are older than ``KEPT`` and wait for nothing; return how many."""
    old = Notice.objects.filter(told_at__lt=now - KEPT, follows=None).exclude(state=NoticeState.PENDING)
    oldest = list(old.order_by("told_at").values_list("pk", flat=True)[:AT_ONCE])
    Notice.objects.filter(follows__in=oldest).delete()
    Notice.objects.filter(pk__in=oldest).delete()
    return len(oldest)
