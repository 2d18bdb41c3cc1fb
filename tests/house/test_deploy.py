"""What ``deploy/`` promises: nobody runs as root, nothing is written to, every secret is a file, every name exists."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.house.chart import RENDERED, digest, header, rendered
from tests.house.test_settings_are_documented import documented
from tests.house.tree import ROOT

DEPLOY = ROOT / "deploy"
WRITABLE = {"/tmp", "/var/lib/gmud/data"}  # noqa: S108  # in the container, in memory
OURS = re.compile(r"\b(?:GMUD_[A-Z_]+|(?:DATABASE|REDIS)_URL(?:_FILE)?)\b")
OWNER = "database_url_owner"
# A setting is a secret when it says so, or when the table shows it with a password.
SECRET = re.compile(r"^\| `([A-Z_]*SECRET[A-Z_]*)` \||^\| `([A-Z_]+)` \|.*:password@", re.MULTILINE)
FIGURE = re.compile(r"\bgmud_[a-z_]+")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


@pytest.fixture(scope="module")
def objects() -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all((ROOT / RENDERED).read_text()) if one]


def pods(objects: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for one in objects:
        if one["kind"] in {"Deployment", "Job"}:
            yield one["metadata"]["name"], one["spec"]["template"]["spec"]


def secret_settings() -> set[str]:
    return {"".join(found) for found in SECRET.findall((ROOT / "docs" / "operate.md").read_text())}


def ours(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: one for name, one in compose["services"].items() if name not in {"postgres", "redis"}}


# the image


def test_the_image_is_made_from_the_lock_and_runs_as_nobody():
    lines = [line for line in (DEPLOY / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    text = "\n".join(lines)

    assert [line.split()[1] for line in lines if line.startswith("USER ")] == ["10001:10001"]
    assert "--require-hashes -r $LOCK" in text
    assert re.findall(r"^(?:ADD|ARG) .*", text, re.MULTILINE) == ["ARG LOCK=requirements.lock"]
    assert not re.search(r"\b(?:curl|wget|apt-get)\b", text)
    assert len([line for line in lines if line.startswith("FROM ")]) == 2


def test_what_the_image_copies_is_there_and_goes_to_the_builder():
    copied = {
        word
        for line in (DEPLOY / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    }
    let_through = {
        line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")
    }

    assert copied == let_through
    assert [name for name in copied if not (ROOT / name).exists()] == []


# compose


def test_every_process_of_the_house_is_in_the_compose_file(compose):
    assert set(compose["services"]) == {
        *("web", "worker", "rollback", "beat", "sealer"),
        *("migrate", "keys", "postgres", "redis"),
    }


def test_no_process_of_ours_can_write_to_its_image_or_gain_rights(compose):
    for name, one in ours(compose).items():
        assert one["read_only"], name
        assert one["cap_drop"] == ["ALL"], name
        assert one["security_opt"] == ["no-new-privileges:true"], name
        assert {place.split(":")[0] for place in one["tmpfs"]} == WRITABLE, name
        assert one["environment"]["GMUD_STRICT"] == "1", name


def test_only_who_must_can_write_to_keys_and_witness(compose):
    writers = {
        (name, volume.split(":")[0])
        for name, one in ours(compose).items()
        for volume in one["volumes"]
        if not volume.endswith(":ro")
    }

    assert writers == {("keys", "keys"), ("sealer", "witness")}


def test_secrets_are_files_and_only_migrating_sees_the_owner(compose):
    assert not re.search(r"postgres://|redis://", json.dumps(compose["services"]))
    owners = {name for name, one in compose["services"].items() if OWNER in one.get("secrets", ())}
    assert owners == {"migrate"}
    for name, one in ours(compose).items():
        used = {value.rpartition("/")[2] for key, value in one["environment"].items() if key.endswith("_FILE")}
        assert used <= set(one["secrets"]) <= set(compose["secrets"]), name


def test_what_lasts_is_started_again_and_asked_whether_it_is_well(compose):
    lasting = {name: one for name, one in compose["services"].items() if one["restart"] == "always"}

    assert set(compose["services"]) - set(lasting) == {"migrate", "keys"}
    assert {name for name in lasting if "healthcheck" not in lasting[name]} == {"beat"}


def test_the_files_of_the_compose_file_exist_or_are_made_by_its_script(compose):
    script = (DEPLOY / "compose" / "secrets.sh").read_text()
    mounted = [volume for volume in compose["services"]["postgres"]["volumes"] if volume.startswith("./")]

    assert [one for one in mounted if not (DEPLOY / one.split(":")[0]).is_file()] == []
    assert [name for name in compose["secrets"] if name not in script] == []
    assert {one["file"] for one in compose["secrets"].values()} == {
        f"./compose/secrets/{name}" for name in compose["secrets"]
    }


def test_the_script_makes_every_secret_once_and_keeps_what_people_wrote_in(tmp_path, compose):
    shutil.copy(DEPLOY / "compose" / "secrets.sh", tmp_path)
    made = []
    for _time in range(2):
        done = subprocess.run(["sh", "secrets.sh"], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        made.append({one.name: one.read_text() for one in (tmp_path / "secrets").iterdir()})
        (tmp_path / "secrets" / "smtp_url").write_text("smtps://account:password@host")

    assert set(made[0]) == set(compose["secrets"])
    assert {name for name, text in made[0].items() if not text} == {"smtp_url", "oidc_client_secret"}
    assert made[1] == made[0] | {"smtp_url": "smtps://account:password@host"}


# the chart


def test_the_rendered_chart_is_that_of_the_chart_beside_it():
    assert (ROOT / RENDERED).read_text().startswith(header(ROOT)), "Say: python -m tests.house.chart"
    if helm := shutil.which("helm"):
        assert (ROOT / RENDERED).read_text() == rendered(ROOT, helm)


def test_a_change_of_the_chart_is_seen(tmp_path):
    shutil.copytree(DEPLOY / "helm", tmp_path / "deploy" / "helm")
    before = digest(tmp_path)
    (tmp_path / "deploy" / "helm" / "gmud" / "values.yaml").write_text("")

    assert digest(tmp_path) != before == digest(ROOT)


def test_every_pod_is_nobody_and_can_write_to_nothing_of_its_image(objects):
    for name, pod in pods(objects):
        assert pod["securityContext"]["runAsNonRoot"], name
        assert pod["securityContext"]["runAsUser"] == 10001, name
        assert pod["automountServiceAccountToken"] is False, name
        for container in pod["containers"]:
            limits = container["securityContext"]
            assert (limits["readOnlyRootFilesystem"], limits["allowPrivilegeEscalation"]) == (True, False), name
            assert limits["capabilities"] == {"drop": ["ALL"]}, name
            writable = {one["mountPath"] for one in container["volumeMounts"] if not one.get("readOnly")}
            assert writable == WRITABLE | ({"/var/lib/gmud/witness"} if name.endswith("-sealer") else set()), name
            assert container["resources"]["limits"]["memory"], name


def test_what_a_pod_mounts_and_reads_is_defined(objects):
    settings = {one["metadata"]["name"] for one in objects if one["kind"] == "ConfigMap"}
    accounts = {one["metadata"]["name"] for one in objects if one["kind"] == "ServiceAccount"}
    claims = {one["metadata"]["name"] for one in objects if one["kind"] == "PersistentVolumeClaim"}
    for name, pod in pods(objects):
        volumes = {one["name"]: one for one in pod["volumes"]}
        for container in pod["containers"]:
            assert {one["name"] for one in container["volumeMounts"]} == set(volumes), name
            assert {one["configMapRef"]["name"] for one in container["envFrom"]} <= settings
            entries = {item["path"] for item in volumes["secret"]["secret"]["items"]}
            read = {one["value"].rpartition("/")[2] for one in container["env"]}
            assert read == entries, name
        assert pod["serviceAccountName"] in accounts
        witness = volumes.get("witness")
        assert witness is None or witness["persistentVolumeClaim"]["claimName"] in claims
        assert (OWNER in entries) is name.endswith("-migrate")


def test_every_deployment_selects_its_own_pods_and_the_service_those_of_web(objects):
    deployed = [one for one in objects if one["kind"] == "Deployment"]
    assert {one["metadata"]["name"] for one in deployed} == {
        f"gmud-{part}" for part in ("web", "worker", "rollback", "beat", "sealer")
    }
    for one in deployed:
        assert one["spec"]["selector"]["matchLabels"] == one["spec"]["template"]["metadata"]["labels"]
    selectors = [tuple(one["spec"]["selector"]["matchLabels"].items()) for one in deployed]
    assert len(set(selectors)) == len(selectors)
    service = next(one for one in objects if one["kind"] == "Service")
    web = next(one for one in deployed if one["metadata"]["name"] == "gmud-web")
    assert service["spec"]["selector"] == web["spec"]["selector"]["matchLabels"]


def test_every_queue_has_workers_of_its_own_kind(compose, objects):
    in_chart = {
        pod["containers"][0]["command"][-1]
        for name, pod in pods(objects)
        if pod["containers"][0].get("command", [""])[0] == "celery" and "-Q" in pod["containers"][0]["command"]
    }
    in_compose = {compose["services"][name]["command"][-1] for name in ("worker", "rollback")}

    assert in_chart == in_compose == {"deploy,notify,default", "rollback"}


# names


def test_every_secret_setting_is_a_file_in_every_process_of_both(compose, objects):
    assert {"GMUD_SECRET_KEY", "DATABASE_URL", "REDIS_URL", "GMUD_OIDC_CLIENT_SECRET"} <= secret_settings()
    given = {f"compose {name}": set(one["environment"]) for name, one in ours(compose).items()}
    given |= {name: {one["name"] for one in pod["containers"][0]["env"]} for name, pod in pods(objects)}
    for name, settings in given.items():
        assert {f"{one}_FILE" for one in secret_settings()} <= settings, name
        assert not secret_settings() & settings, name


def test_every_entry_of_the_chart_s_secret_is_told_where_it_is_asked_for(objects):
    entries = {
        item["key"]
        for _name, pod in pods(objects)
        for volume in pod["volumes"]
        if volume["name"] == "secret"
        for item in volume["secret"]["items"]
    }

    assert OWNER in entries
    for place in ("docs/operate.md", "deploy/helm/gmud/values.yaml"):
        assert [entry for entry in entries if not re.search(rf"\b{entry}\b", (ROOT / place).read_text())] == [], place


def test_every_setting_that_deploy_names_is_documented():
    files = [path for path in DEPLOY.rglob("*") if path.is_file() and path.suffix in {".yaml", ".tpl", "", ".json"}]
    named = {name for path in files for name in OURS.findall(path.read_text())}
    known = documented(ROOT) | {f"{name}_FILE" for name in documented(ROOT)} | {"GMUD_HOST", "GMUD_IMAGE"}

    assert {"GMUD_STRICT", "DATABASE_URL_FILE", "GMUD_WITNESS_FILE"} <= named
    assert named - known == set()


def exported() -> set[str]:
    """Return the figures that the code makes."""
    source = "".join(path.read_text() for path in (ROOT / "releases" / "web" / "metrics").glob("*.py"))
    return set(re.findall(r'"(gmud_[a-z_]+)"', source))


def test_the_dashboard_shows_exactly_the_figures_there_are():
    board = json.loads((DEPLOY / "grafana" / "gmud.json").read_text())
    asked = {
        name.removesuffix("_bucket")
        for panel in board["panels"]
        for target in panel.get("targets", ())
        for name in FIGURE.findall(target["expr"])
    }

    assert len(exported()) > 12
    assert asked == exported()


def test_the_panels_of_the_dashboard_have_ids_and_places_of_their_own():
    panels = json.loads((DEPLOY / "grafana" / "gmud.json").read_text())["panels"]
    places = [(one["gridPos"]["x"], one["gridPos"]["y"]) for one in panels]

    assert len({one["id"] for one in panels}) == len(panels) == len(set(places))
    assert all(one["gridPos"]["x"] + one["gridPos"]["w"] <= 24 for one in panels)
