"""What the pages print as asked and as observed is what was asked of the cluster, and what it holds."""

import re

import pytest

from releases.changes.states import State
from tests.factories.rollback import bank, go_back, quick
from tests.factories.rollout import scheduled

__all__ = ["bank", "quick"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
BARS = re.compile(r'<div class="bars">(.*?)</div>', re.DOTALL)
SAID = re.compile(r'<span class="num">(.*?)</span>')
DRAWN = re.compile(r'<rect(?: class="fill")?\s+width="(\d+)%"')


def printed(browser, address):
    """Return what a page prints as asked and as observed; what it draws is the same."""
    bars = BARS.search(browser.get(address).content.decode())[1]
    said = tuple(int(one[1]) if (one := re.match(r"(\d+) %$", text)) else None for text in SAID.findall(bars))
    assert [int(one) for one in DRAWN.findall(bars)] == [one for one in said if one]
    return said


@pytest.fixture
def shown(bank, browse):
    """Return a function that reads asked and observed of a change, on its live page and on its own."""
    browser = browse(bank.house.on_call)

    def read(change):
        return tuple(printed(browser, f"/{where}/{change.number}") for where in ("live", "changes"))

    return read


def twice(figure):
    """Return a figure as it is printed where what was asked has come about, on both pages."""
    return ((figure, figure), (figure, figure))


def test_the_figures_follow_the_cluster_forward_and_back_and_when_somebody_else_moves_it(bank, shown):
    change = scheduled(bank.house)
    bank.start(change)
    bank.work_until(lambda: shown(change) == twice(10) == twice(bank.weights()["canary"]), what="10 %")
    bank.until_state(change, State.WATCHING)
    assert shown(change) == twice(100) == twice(bank.weights()["canary"])

    bank.cluster.edit(37, 63, service="ledgerwriter")
    bank.work_until(lambda: shown(change) != twice(100), what="the watch looks")
    assert shown(change) == ((100, 63), (100, 63))
    assert bank.weights() == {"stable": 37, "canary": 63}

    go_back(bank, change)
    bank.until_operation(change, "succeeded")
    back, new = bank.weights()["stable"], bank.weights()["canary"]
    assert shown(change) == ((back, back), (new, new)) == ((100, 100), (0, 0))  # on the old version, and on the new
