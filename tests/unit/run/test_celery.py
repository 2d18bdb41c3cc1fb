"""What the doorbell is set to, and why: whatever of it is lost or comes twice, the database holds the work."""

import pytest

from gmud.celery import app


def test_a_call_is_taken_off_the_queue_only_after_its_work():
    """A worker that is killed leaves its call with the broker, which gives it to another."""
    assert app.conf.task_acks_late is True


def test_a_worker_takes_one_call_at_a_time():
    """A call held back by a busy worker would wait there while others are free: a rollback above all."""
    assert app.conf.worker_prefetch_multiplier == 1
    assert app.conf.worker_pool == "solo"


def test_a_call_that_nobody_confirmed_comes_again_in_five_minutes():
    """Well above what one call lasts, so that it seldom comes twice; the sweep finds the row long before."""
    options = app.conf.broker_transport_options

    assert options["visibility_timeout"] == 300
    assert options["visibility_timeout"] > 10 * options["unacked_restore_interval"]


def test_a_call_carries_an_id_and_brings_nothing_back():
    """What can be read from a broker, or written to it, is no content and no code."""
    assert app.conf.accept_content == ["json"]
    assert app.conf.task_serializer == "json"
    assert app.conf.result_backend is None
    assert app.conf.task_ignore_result is True


def test_nobody_waits_for_a_broker_that_is_away():
    """The row is committed; a call that fails is made up for by the sweep, so the caller goes on at once."""
    assert app.conf.task_publish_retry is False


@pytest.mark.parametrize("name", ["rollback", "deploy", "notify", "default"])
def test_every_queue_is_known_and_no_other_comes_up_by_a_slip(name):
    assert name in app.amqp.queues
    assert app.conf.task_create_missing_queues is False


def test_the_sweep_comes_often_and_does_not_pile_up(settings):
    """A sweep that waits longer than the time between two is dropped: the next one does the same."""
    sweep = app.conf.beat_schedule["sweep"]

    assert sweep["schedule"] == sweep["options"]["expires"] == settings.GMUD_SWEEP_SECONDS
    assert sweep["schedule"] < app.conf.broker_transport_options["visibility_timeout"]
