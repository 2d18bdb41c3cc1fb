"""A mail server in its own process, a key ring of one's own, and a clock that only moves when told."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gmud.smtp import options
from tests.factories.mailbox import Mailbox, a_mailbox
from tests.factories.notify import Clock


@pytest.fixture(scope="session")
def mail_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailbox]:
    """Return the server of this whole run."""
    with a_mailbox(tmp_path_factory.mktemp("mail")) as found:
        yield found


@pytest.fixture
def mailbox(mail_server: Mailbox, settings: Any) -> Mailbox:
    """Return an empty mailbox that takes whatever GMUD sends."""
    for place in mail_server.folder.iterdir():
        place.unlink()
    settings.GMUD_SMTP = options(mail_server.url)
    settings.GMUD_MAIL_FROM = "GMUD <gmud@example.com>"
    settings.PUBLIC_URL = "https://gmud.example.com"
    return mail_server


@pytest.fixture(autouse=True)
def _ring(tmp_path: Path, settings: Any) -> None:
    settings.GMUD_KEYS = str(tmp_path / "keys")
    (tmp_path / "keys").mkdir(mode=0o700)


@pytest.fixture
def clock() -> Clock:
    """Return a clock that stands still."""
    return Clock()
