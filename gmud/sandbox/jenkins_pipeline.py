"""What the sandbox's deploy job does: redeem the permit at the gate, change the cluster, look whether it took.

Everything here goes over HTTP, as a Jenkinsfile with ``curl`` would do it; nothing is known beforehand.
"""

import base64
import http.client
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

SECONDS = 10.0
MERGE_PATCH = "application/merge-patch+json"


class StageFailed(Exception):
    """The stage failed, with the line that the console shows."""


class TryAgain(StageFailed):
    """The other side did not answer clearly; the same call may be repeated."""


@dataclass(frozen=True)
class Run:
    """The build as the stages see it."""

    job: str
    number: int
    url: str
    parameters: Mapping[str, str]
    say: Callable[[str], None]

    def __getitem__(self, name: str) -> str:
        """Return a parameter; an absent one is empty, as in a shell."""
        return self.parameters.get(name, "")


@dataclass(frozen=True)
class Pipeline:
    """Where the job's stages reach out to: the gate, and the cluster."""

    gate_url: str = ""
    gate_token_file: str = ""
    cluster_url: str = ""
    cluster_token: str = ""
    namespaces: Mapping[str, str] = field(
        default_factory=lambda: {"production": "bank-production", "staging": "bank-staging"}
    )
    images: str = "registry.example/bank-of-anthos"

    def perform(self, stage: str, run: Run) -> None:
        """Do the work of one stage; a stage with another name does nothing but take its time.

        :raises StageFailed: the build must fail here
        """
        work = {"Permit": self._redeem, "Deploy": self._deploy, "Verify": self._verify}.get(stage)
        if work:
            work(run)

    def _redeem(self, run: Run) -> None:
        if not self.gate_url:
            raise StageFailed("ERROR: no gate is configured, so nothing may be deployed")
        body = {
            "run": {"provider": "jenkins", "id": f"{run.job}#{run.number}", "url": run.url},
            "artifact_digest": run["DIGEST"],
        }
        jti = permit_id(run["GMUD_PERMIT"])
        url = f"{self.gate_url.rstrip('/')}/api/v1/gate/permits/{quote(jti, safe='')}/redeem"
        status, text = _speak("POST", url, body, self._gate_token())
        run.say(f"+ redeem permit {jti}: {status}")
        if status >= 500:
            raise TryAgain(f"ERROR: the gate answered {status}")
        if status != 200:
            raise StageFailed(f"ERROR: the gate refused the permit ({status}): {text[:300]}")

    def _deploy(self, run: Run) -> None:
        url = self._deployment(run)
        image = f"{self.images}/{run['SERVICE']}:{run['VERSION']}@{run['DIGEST']}"
        patch = {
            "metadata": {"labels": {"version": run["VERSION"]}},
            "spec": {
                "template": {
                    "metadata": {"labels": {"version": run["VERSION"]}},
                    "spec": {"containers": [{"name": run["SERVICE"], "image": image}]},
                }
            },
        }
        status, text = _speak("PATCH", url, patch, self.cluster_token, MERGE_PATCH)
        run.say(f"+ patch {urlsplit(url).path}: {status}")
        if status >= 500:
            raise TryAgain(f"ERROR: the cluster answered {status}")
        if status not in (200, 201):
            raise StageFailed(f"ERROR: the cluster refused the deployment ({status}): {text[:300]}")

    def _verify(self, run: Run) -> None:
        status, text = _speak("GET", self._deployment(run), None, self.cluster_token)
        if status != 200:
            raise TryAgain(f"ERROR: the cluster answered {status}")
        version = json.loads(text)["spec"]["template"]["metadata"]["labels"].get("version")
        run.say(f"+ running version: {version}")
        if version != run["VERSION"]:
            raise StageFailed(f"ERROR: {version} runs, {run['VERSION']} was deployed")

    def _deployment(self, run: Run) -> str:
        if not self.cluster_url:
            raise StageFailed("ERROR: no cluster is configured")
        namespace = self.namespaces.get(run["ENVIRONMENT"], run["ENVIRONMENT"])
        name = f"{run['SERVICE']}-{run['SLOT'] or 'stable'}"
        path = f"/apis/apps/v1/namespaces/{quote(namespace, safe='')}/deployments/{quote(name, safe='')}"
        return self.cluster_url.rstrip("/") + path

    def _gate_token(self) -> str:
        place = self.gate_token_file or os.environ.get("GMUD_GATE_TOKEN_FILE", "")
        if place and Path(place).exists():
            return Path(place).read_text().strip()
        return os.environ.get("GMUD_GATE_TOKEN", "")


def permit_id(permit: str) -> str:
    """Return the ``jti`` in the payload of a compact JWS; whether it is genuine is the gate's to say.

    :raises StageFailed: there is no permit, or it is not a JWS
    """
    try:
        payload = permit.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return str(claims["jti"])
    except (IndexError, ValueError, KeyError, TypeError) as error:
        raise StageFailed("ERROR: GMUD_PERMIT holds no permit, so nothing is deployed") from error


def _speak(method: str, url: str, body: Any, token: str, kind: str = "application/json") -> tuple[int, str]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=SECONDS)
    headers = {"Accept": "application/json", "Host": parts.netloc}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    if body is not None:
        headers["Content-Type"] = kind
    try:
        connection.request(method, parts.path, json.dumps(body) if body is not None else None, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        raise TryAgain(f"ERROR: {parts.netloc} did not answer ({type(error).__name__})") from error
    finally:
        connection.close()
