"""The Dockerfile's rules, as far as they can be checked without building an image."""

import re

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from tests.deploy.files import copied_sources, dockerfile, final_stage, project, run_commands
from tests.support.paths import ROOT


def pins(file: str) -> dict[str, str]:
    """Return the versions of a lock file, by name."""
    return dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / file).read_text(), re.MULTILINE))


def test_the_base_is_pinned() -> None:
    """One official slim image of a Python that the project allows, named once."""
    images = [each.arguments for each in dockerfile() if each.name == "FROM"]
    stages = [arguments[2] for arguments in images if len(arguments) == 3]
    (base,) = (arguments[0] for arguments in images if arguments[0] not in stages)
    found = re.fullmatch(r"python:(3\.\d+)-slim-[a-z]+", base)
    assert found
    assert found[1] in SpecifierSet(project()["project"]["requires-python"])


def test_copied_files_exist() -> None:
    """Each source exists, and .dockerignore admits no other file."""
    assert all((ROOT / source).exists() for source in copied_sources())
    patterns = [
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if not line.startswith("#")
    ]
    assert patterns[0] == "*"
    assert sorted(patterns[1:-1]) == sorted(f"!{source}" for source in copied_sources())
    assert patterns[-1] == "**/__pycache__"


def test_nothing_unchecked_is_installed() -> None:
    """All that pip fetches has a hash and is a wheel; our wheel needs no index."""
    fetching = [
        command for command in run_commands() if "pip" in command and "--no-index" not in command
    ]
    assert len(fetching) == 2
    for command in fetching:
        assert "--require-hashes" in command
        assert command[command.index("--only-binary") + 1] == ":all:"


def test_the_build_system_is_locked() -> None:
    """requirements-build.txt has the build system in the versions of the tests."""
    locked = pins("requirements-build.txt")
    wanted = [Requirement(text).name for text in project()["build-system"]["requires"]]
    assert set(wanted) <= locked.keys()
    assert locked.items() <= pins("requirements-dev.txt").items()


def test_it_does_not_run_as_root() -> None:
    """The user is a fixed number, that of the account which owns the volume."""
    user, group = final_stage()["USER"].arguments[0].split(":")
    assert int(user) > 0
    (account,) = (command for command in run_commands() if command[0] == "useradd")
    assert account[account.index("--uid") + 1] == user
    assert account[account.index("--gid") + 1] == group
    (volume,) = final_stage()["VOLUME"].arguments
    (install,) = (command for command in run_commands() if command[0] == "install")
    assert install[-1] == volume
    assert f"--owner={account[-1]}" in install


def test_data_goes_to_the_volume() -> None:
    """The image sets the folder itself, since everything else may be read-only."""
    variables = dict(word.split("=", 1) for word in final_stage()["ENV"].arguments)
    assert variables["CATEGORY_PUBLISHER_DATA_DIR"] == final_stage()["VOLUME"].arguments[0]


def test_it_starts_our_commands() -> None:
    """The entry point is a command of the project, started without a shell."""
    instruction = final_stage()["ENTRYPOINT"]
    assert instruction.is_exec
    assert instruction.arguments[0] in project()["project"]["scripts"]


def test_the_image_has_no_health_check() -> None:
    """One check would call `demo`, a consumer and a daemon without pages unhealthy."""
    assert "HEALTHCHECK" not in final_stage()


def test_it_stops_by_sigterm() -> None:
    """SIGTERM reaches the daemon, which is process 1 and not a shell's child."""
    assert final_stage()["STOPSIGNAL"].arguments == ["SIGTERM"]
    assert final_stage()["CMD"].is_exec
    assert final_stage()["CMD"].arguments == ["run"]


def test_labels_are_those_of_the_project() -> None:
    """Name, version, license and description agree with pyproject.toml."""
    labels = dict(word.split("=", 1) for word in final_stage()["LABEL"].arguments)
    about = project()["project"]
    prefix = "org.opencontainers.image"
    assert labels[f"{prefix}.title"] == about["name"]
    assert labels[f"{prefix}.version"] == about["version"]
    assert labels[f"{prefix}.licenses"] == about["license"]
    assert about["description"].startswith(labels[f"{prefix}.description"])
