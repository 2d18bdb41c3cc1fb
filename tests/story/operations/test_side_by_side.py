"""Steps that wait side by side are taken side by side: going back with many routes takes as long as with a few."""

from importlib import import_module
from threading import Barrier, Lock

import pytest
from django.db import transaction

from tests.factories.operations import Clock, Outside, a_plan, an_operation, work

running = import_module("releases.operations.services.run")  # its function has the same name
pytestmark = pytest.mark.django_db(transaction=True)


def test_as_many_steps_as_there_are_hands_are_sent_at_once_and_each_once(monkeypatch):
    monkeypatch.setattr(running, "HANDS", 4)
    together, lock, names = Barrier(4, timeout=60), Lock(), [str(number) for number in range(8)]

    def meet():
        with lock:
            meet.seen += 1
        together.wait()  # breaks when fewer than four ever stand here

    meet.seen = 0
    clock, outside = Clock(), Outside(before_send=meet)
    with transaction.atomic():
        operation = an_operation(now=clock(), steps=[a_plan(name, repeatable=True) for name in names])

    work(operation, outside, clock)

    assert operation.state == "succeeded"
    assert sorted(outside.done) == sorted(step.op_key for step in operation.steps.all())
    assert meet.seen == len(names)


def test_one_step_is_taken_by_whoever_was_called(monkeypatch):
    monkeypatch.setattr(running, "ThreadPoolExecutor", None)
    clock, outside = Clock(), Outside()
    with transaction.atomic():
        operation = an_operation(now=clock())

    assert work(operation, outside, clock).state == "succeeded"
