"""Runs that others begin, whole: they ask the gate, redeem, deploy and report, and are believed as they are read back.

Gate, API and workers are the real ones; Jenkins, Spinnaker and the cluster are stand-ins, everything over HTTP.
"""

import time
from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace
from urllib.parse import urlencode

import pytest

from gmud.sandbox.jenkins import TOKEN, Jenkins
from gmud.sandbox.jenkins_pipeline import Pipeline
from gmud.sandbox.kubernetes.api import Cluster
from gmud.sandbox.server import running
from gmud.sandbox.spinnaker.accounts import TOKEN as SPINNAKER
from releases.accounts.rights import Right
from releases.catalog.kinds import ConnectionKind
from releases.changes.states import State
from releases.delivery.models import Deployment
from tests.contract.api.test_guide_to_spinnaker import begun, pulled, spinnaker
from tests.contract.api.test_reports import worked
from tests.factories.accounts import a_token
from tests.factories.catalog import a_connection
from tests.factories.changes import a_change
from tests.factories.delivery import ask, basic
from tests.factories.gate import bind_job

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.once]
FORM = {"Authorization": basic(), "Content-Type": "application/x-www-form-urlencoded"}


@contextmanager
def a_jenkins(gmud, token, folder, cluster, *, is_well):
    """Run a Jenkins whose job does as the guide says: started without a permit it takes one itself, and reports."""
    (place := folder / "token").write_text(token)
    pipeline = Pipeline(gmud, str(place), cluster, "sandbox-full")
    with running(one := Jenkins(pipeline=pipeline, speed=50)) as url:
        job = one.controller.jobs["ledger/deploy-ledgerwriter"]
        job.outcomes = {} if is_well else {"Verify": "FAILED"}

        def build(given):
            path = f"{job.path}/buildWithParameters?delay=0sec"
            assert ask(url, "POST", path, body=urlencode(given), headers=FORM).status == 201
            _until(lambda: job.builds and job.builds[1].result)
            return f"jenkins:{job.full_name}#1", f"{job.path}/1/"

        account = {"kind": ConnectionKind.JENKINS, "origin": url, "secret": TOKEN}
        said = "succeeded"  # by a stage before the one that fails
        yield SimpleNamespace(account=account, job=job.full_name, build=build, said=said, log=one.log)


@contextmanager
def a_spinnaker(gmud, token, _folder, cluster, *, is_well):
    """Run a Spinnaker with the guide's pipeline that is pulled, and reports."""
    with running(one := spinnaker(cluster, gmud, token, pulled())) as url:
        (pipeline,) = one.pipelines.values()
        pipeline.outcomes = {} if is_well else {"Deploy": "TERMINAL"}

        def build(given):
            execution = begun(url, one, given)
            _until(lambda: execution.is_complete)
            return f"spinnaker:{execution.id}", execution.id

        account = {"kind": ConnectionKind.SPINNAKER, "origin": url, "account": "", "secret": SPINNAKER}
        said = "succeeded" if is_well else ""
        yield SimpleNamespace(account=account, job="ledger/Deploy ledgerwriter", build=build, said=said, log=one.log)


@pytest.mark.parametrize("system", [a_jenkins, a_spinnaker])
@pytest.mark.parametrize(
    ("is_well", "ends"), [(True, ("watching", "succeeded")), (False, ("reviewing", "failed"))], ids=["well", "not well"]
)
def test_a_run_of_others_moves_its_change_as_its_system_tells_whatever_it_reports(
    house, now, live_server, settings, tmp_path, system, is_well, ends
):
    settings.PUBLIC_URL = live_server.url
    _row, token = a_token(Right.GATE_ASK, Right.PERMIT_REDEEM, now=now)
    with running(Cluster()) as cluster, system(live_server.url, token, tmp_path, cluster, is_well=is_well) as ci:
        bind_job(house, a_connection("ci", now=now, **ci.account).pk, ci.job)
        starts, ends_at = now + timedelta(milliseconds=1), now + timedelta(hours=2)
        change = a_change(house, at=State.SCHEDULED, starts_at=starts, ends_at=ends_at)
        item = change.items.get()
        given = {
            "SERVICE": house.service.name,
            "ENVIRONMENT": "production",
            "VERSION": item.artifact.version,
            "DIGEST": item.artifact.digest,
            "SLOT": "stable",
        }
        run, place = ci.build(given)
        ci.log.clear()
        state = worked(change)

    row = Deployment.objects.get()
    assert (state, row.state) == ends
    assert (row.run, row.said, row.is_reported, row.connection.name) == (run, ci.said, True, "ci")
    assert any(place in str(one) for one in ci.log)


def _until(seen):
    deadline = time.monotonic() + 20
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.02)
