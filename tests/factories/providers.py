"""Providers of sign-in on loopback: one from a package in a process of its own, and one that says what a test wants."""

import html
import json
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from django.http import HttpResponse
from django.test import Client

from gmud.servers import free_port

READY_SECONDS = 30
CLIENT = "gmud"
CLIENT_SECRET = "the-secret-of-the-client"
HERE = "http://testserver"


@contextmanager
def a_real_provider(*people: Mapping[str, Any]) -> Iterator[str]:
    """Run the package's provider in its own process, with these people, and yield its issuer."""
    port = free_port()
    known = [part for one in people for part in ("--user-claims", json.dumps(one))]
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port), "--require-nonce", "true", *known]
    issuer = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(f"{issuer}/.well-known/openid-configuration")
        yield issuer
    finally:
        process.terminate()
        process.wait(timeout=15)


def _wait_for(address: str) -> None:
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(address, timeout=2):  # noqa: S310  # our own server
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the provider did not become ready")


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        return None


def consent(address: str, subject: str, *, deny: bool = False) -> str:
    """Answer the real provider's question as a person would, and return where it sends them."""
    body = urlencode({"action": "deny"} if deny else {"sub": subject}).encode()
    opener = urllib.request.build_opener(_Stay)
    try:
        opener.open(urllib.request.Request(address, data=body), timeout=10)  # noqa: S310  # our own server
    except urllib.error.HTTPError as answer:
        return str(answer.headers["Location"])
    raise AssertionError("the provider sends nobody back")


@dataclass
class Scripted:
    """A provider that says what it is told; by default the truth about ``ana-1``.

    ``token`` makes the ID token from the claims and the honest signer, ``description`` changes what it says of itself.
    """

    issuer: str
    key: rsa.RSAPrivateKey = field(repr=False)
    claims: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, Any] = field(default_factory=lambda: {"kid": "one"})
    token: Callable[["Scripted", dict[str, Any]], str] | None = None
    description: dict[str, Any] = field(default_factory=dict)
    userinfo: Any = None
    status: dict[str, int] = field(default_factory=dict)
    location: str = ""
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    nonce: str = ""

    @property
    def jwks(self) -> dict[str, Any]:
        made = jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return {"keys": [{**made, "kid": "one", "use": "sig", "alg": "RS256"}]}

    def signed(self, claims: Mapping[str, Any], key: Any = None, algorithm: str = "RS256") -> str:
        given = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(given, key or self.key, algorithm=algorithm, headers=self.headers)

    def id_token(self) -> str:
        now = int(time.time())
        honest = {
            "iss": self.issuer,
            "aud": CLIENT,
            "sub": "ana-1",
            "nonce": self.nonce,
            "iat": now,
            "exp": now + 300,
            "auth_time": now,
        }
        claims = {**honest, **self.claims}
        return self.token(self, claims) if self.token else self.signed(claims)

    def consent(self, address: str) -> str:
        """Send a person back as if they had signed in; remembers the nonce as a provider does."""
        asked = dict(parse_qsl(urlsplit(address).query))
        self.nonce = asked["nonce"]
        return f"{asked['redirect_uri']}?{urlencode({'code': 'c-1', 'state': asked['state']})}"

    def answer(self, path: str) -> tuple[int, Any]:
        described = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            **self.description,
        }
        found = {
            "/.well-known/openid-configuration": lambda: described,
            "/token": lambda: {"access_token": "at-1", "token_type": "Bearer", "id_token": self.id_token()},
            "/keys": lambda: self.jwks,
            "/userinfo": lambda: {"sub": self.claims.get("sub", "ana-1")} if self.userinfo is None else self.userinfo,
        }
        return self.status.get(path, 200), found[path]()


@contextmanager
def a_scripted_provider() -> Iterator[Scripted]:
    """Run a provider that a test can make lie."""
    port = free_port()
    provider = Scripted(f"http://127.0.0.1:{port}", rsa.generate_private_key(public_exponent=65537, key_size=2048))

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            form = {name: many[0] for name, many in parse_qs(self.rfile.read(length).decode()).items()}
            provider.asked.append((self.path, self.headers.get("Authorization", ""), form))
            status, document = provider.answer(self.path)
            body = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            if provider.location:
                self.send_header("Location", provider.location)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = _answer  # noqa: N815  # the names that http.server calls

        def log_message(self, *_args: Any) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


def leave(browser: Client, **more: str) -> str:
    """Press the button that leads to the provider, and return where its page sends one."""
    answer = browser.post("/sign-in/provider", more)
    assert answer.status_code == 200, answer.headers
    found = re.search(r'http-equiv="refresh"\s+content="0; url=([^"]+)"', answer.content.decode())
    assert found
    return html.unescape(found[1])


def come_back(browser: Client, address: str) -> HttpResponse:
    """Follow the provider's answer into our house."""
    assert address.startswith(f"{HERE}/sign-in/provider/back?")
    return browser.get(address.removeprefix(HERE))


def round_trip(browser: Client, provider: Scripted, **more: str) -> HttpResponse:
    """Go to the scripted provider and come back."""
    return come_back(browser, provider.consent(leave(browser, **more)))
