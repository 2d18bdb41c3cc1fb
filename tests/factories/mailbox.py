"""A real SMTP server in a process of its own; each mail becomes a file, a file may tell it how to answer.

``python -m tests.factories.mailbox FOLDER SCHEME CERTIFICATE`` prints its port when it listens; with ``smtps`` or
``smtp+starttls`` it shows the certificate, and takes mails only over TLS from whoever knows the password. In the
folder, ``answer`` holds the reply to every mail (``451 busy``), ``rcpt`` the one to every recipient, or to one
(``ana@example.com 550 no``), ``slow`` how many seconds a mail takes.
"""

import asyncio
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import quote

ACCOUNT, PASSWORD = "gmud", "mail/canary+0123 456789"


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Where the server listens and what it got."""

    folder: Path
    port: int
    scheme: str = "smtp"

    @property
    def url(self) -> str:
        """Return its address as the settings take it."""
        account = "" if self.scheme == "smtp" else f"{ACCOUNT}:{quote(PASSWORD, safe='')}@"
        return f"{self.scheme}://{account}127.0.0.1:{self.port}"

    def mails(self) -> list[EmailMessage]:
        """Return every mail that arrived, oldest first, with the recipient of the envelope as ``X-Rcpt``."""
        return [_read(place) for place in sorted(self.folder.glob("*.eml"))]

    def answer(self, reply: str, *, to: str = "answer") -> None:
        """Have every mail, or every recipient (``rcpt``), answered with this; empty is well again."""
        place = self.folder / to
        place.write_text(reply) if reply else place.unlink(missing_ok=True)


@contextmanager
def a_mailbox(folder: Path, *, scheme: str = "smtp", certificate: str = "") -> Iterator[Mailbox]:
    """Run the server while the block lasts."""
    command = (sys.executable, "-m", "tests.factories.mailbox", str(folder), scheme, certificate)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        try:
            assert process.stdout is not None
            yield Mailbox(folder, int(process.stdout.readline()), scheme)
        finally:
            process.terminate()


def _read(place: Path) -> EmailMessage:
    return message_from_bytes(place.read_bytes(), policy=policy.default)


class Keeper:
    """Keeps mails as files; what aiosmtpd calls a handler."""

    def __init__(self, folder: Path) -> None:
        """Remember where."""
        self.folder = folder

    async def handle_RCPT(  # noqa: N802 - aiosmtpd names it
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:
        """Take every recipient, unless told otherwise."""
        said = self._told("rcpt")
        whom, _space, reply = said.partition(" ") if "@" in said else (address, "", said)
        if reply and whom == address:
            return reply
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd names it
        """Keep the mail, unless told otherwise."""
        await asyncio.sleep(float(self._told("slow") or 0))
        if said := self._told("answer"):
            return said
        draft = self.folder / f"{time.time_ns()}.draft"
        draft.write_bytes(f"X-Rcpt: {', '.join(envelope.rcpt_tos)}\r\n".encode() + envelope.content)
        draft.rename(draft.with_suffix(".eml"))
        return "250 OK"

    def _told(self, what: str) -> str:
        place = self.folder / what
        return place.read_text() if place.exists() else ""


def _lets_in(_how: str, account: bytes, password: bytes) -> bool:
    return (account.decode(), password.decode()) == (ACCOUNT, PASSWORD)


async def _serve(folder: Path, scheme: str, certificate: str) -> None:
    from aiosmtpd.smtp import SMTP

    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if certificate:
        tls.load_cert_chain(certificate)
    login = {"auth_callback": _lets_in, "auth_required": True}
    how: dict[str, dict[str, Any]] = {
        "smtp": {},
        "smtp+starttls": {**login, "tls_context": tls, "require_starttls": True},
        "smtps": {**login, "auth_require_tls": False},  # there is nothing but TLS
    }
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(Keeper(folder), enable_SMTPUTF8=True, **how[scheme]),
        "127.0.0.1",
        0,
        ssl=tls if scheme == "smtps" else None,
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), *sys.argv[2:]))
