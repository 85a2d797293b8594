"""The Dockerfile's rules, as far as they can be checked without building an image."""

import re

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from tests.deploy.files import commands, copied, dockerfile, final_stage, project
from tests.support.paths import ROOT


def pins(file: str) -> dict[str, str]:
    """Return name → version of a lock file."""
    return dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / file).read_text(), re.MULTILINE))


def test_the_base_is_pinned() -> None:
    """One official slim image of a Python that the project allows, named once."""
    images = [each.words for each in dockerfile() if each.name == "FROM"]
    stages = [words[2] for words in images if len(words) == 3]
    (base,) = (words[0] for words in images if words[0] not in stages)
    found = re.fullmatch(r"python:(3\.\d+)-slim-[a-z]+", base)
    assert found
    assert found[1] in SpecifierSet(project()["project"]["requires-python"])


def test_what_is_copied_is_there() -> None:
    """Each source exists, and .dockerignore lets in just these: no secret, no data, no cache."""
    assert all((ROOT / source).exists() for source in copied())
    patterns = [
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if not line.startswith("#")
    ]
    assert patterns[0] == "*"
    assert sorted(patterns[1:-1]) == sorted(f"!{source}" for source in copied())
    assert patterns[-1] == "**/__pycache__"


def test_nothing_unchecked_is_installed() -> None:
    """Whatever pip fetches has a hash and is a wheel; our own wheel comes without an index."""
    fetching = [
        command for command in commands() if "pip" in command and "--no-index" not in command
    ]
    assert len(fetching) == 2
    for command in fetching:
        assert "--require-hashes" in command
        assert command[command.index("--only-binary") + 1] == ":all:"


def test_what_builds_the_wheel_is_locked() -> None:
    """requirements-build.txt holds the build system, at the versions that the tests run with."""
    locked = pins("requirements-build.txt")
    wanted = [Requirement(text).name for text in project()["build-system"]["requires"]]
    assert set(wanted) <= locked.keys()
    assert locked.items() <= pins("requirements-dev.txt").items()


def test_it_does_not_run_as_root() -> None:
    """The user is a fixed number, that of the account which owns the volume."""
    user, group = final_stage()["USER"].words[0].split(":")
    assert int(user) > 0
    (account,) = (command for command in commands() if command[0] == "useradd")
    assert account[account.index("--uid") + 1] == user
    assert account[account.index("--gid") + 1] == group
    (volume,) = final_stage()["VOLUME"].words
    (made,) = (command for command in commands() if command[0] == "install")
    assert made[-1] == volume
    assert f"--owner={account[-1]}" in made


def test_data_goes_to_the_volume() -> None:
    """The image says so itself, since everything else may be read-only."""
    variables = dict(word.split("=", 1) for word in final_stage()["ENV"].words)
    assert variables["CATEGORY_PUBLISHER_DATA_DIR"] == final_stage()["VOLUME"].words[0]


def test_it_starts_our_commands() -> None:
    """By default it is a command of the project, started without a shell."""
    instruction = final_stage()["ENTRYPOINT"]
    assert instruction.is_exec
    assert instruction.words[0] in project()["project"]["scripts"]


def test_its_health_is_not_its_own_business() -> None:
    """`demo`, a consumer and a daemon without pages would all be unhealthy by one check."""
    assert "HEALTHCHECK" not in final_stage()


def test_it_stops_as_the_commands_want_it() -> None:
    """SIGTERM reaches the daemon itself: it is process 1, not the child of a shell."""
    assert final_stage()["STOPSIGNAL"].words == ["SIGTERM"]
    assert final_stage()["CMD"].is_exec
    assert final_stage()["CMD"].words == ["run"]


def test_labels() -> None:
    """They say of the project what pyproject.toml says."""
    labels = dict(word.split("=", 1) for word in final_stage()["LABEL"].words)
    about = project()["project"]
    prefix = "org.opencontainers.image"
    assert labels[f"{prefix}.title"] == about["name"]
    assert labels[f"{prefix}.version"] == about["version"]
    assert labels[f"{prefix}.licenses"] == about["license"]
    assert about["description"].startswith(labels[f"{prefix}.description"])
