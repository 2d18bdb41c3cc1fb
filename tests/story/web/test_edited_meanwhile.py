"""Who decides sees what they decide on: panel and content never stand beside each other from two revisions."""

from releases.changes import services
from releases.changes.models import ChangeRequest
from releases.changes.states import State
from tests.factories.changes import House, a_change, fields

HTMX = {"HX-Request": "true"}


def test_a_panel_that_renews_itself_brings_the_edited_content_along(house, browse):
    change = a_change(house, at=State.AUTHORIZING)
    seen = change.content_digest
    browser = browse(house.security)
    path = f"/changes/{change.number}?part=decision&seen={seen}"
    assert 'id="content"' not in browser.get(path, headers=HTMX).content.decode()

    edit(house, change)
    answer = browser.get(path, headers=HTMX).content.decode()

    assert "This moved while you looked" in answer
    assert 'id="content"' in answer
    assert "Edited meanwhile" in answer


def test_a_refused_vote_brings_the_edited_content_along(house, browse):
    change = a_change(house, at=State.AUTHORIZING)
    voted = {"decision": "approve", "seen_digest": change.content_digest}
    edit(house, change)
    answer = browse(house.security).post(f"/changes/{change.number}/vote", voted, headers=HTMX)

    assert answer.status_code == 409
    assert 'id="content"' in answer.content.decode()
    assert "Title was" in answer.content.decode()


def edit(house: House, change: ChangeRequest) -> None:
    edited = fields(house, title="Edited meanwhile")
    ana = house.actor("engineer")
    services.revise(change_id=change.pk, actor=ana, fields=edited, seen_digest=None, now=house.now)
    services.submit(change_id=change.pk, actor=ana, now=house.now)
