"""The command line of `category-consumer`."""

from pathlib import Path

import pytest

from consumers.cli import COMMANDS
from tests.support.processes import CONSUMER, call


@pytest.mark.contract("7")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["mirror", "US", "--to", "sqlite:///x"], "error: catalog 'US': a catalog's name"),
        (["tail", "-x"], "No such option"),
        (["tail", "US"], "error: catalog 'US'"),
        (["verify", "US", "--to", "sqlite:///x"], "error: catalog 'US'"),
        (["mirror", "us"], "CATEGORY_PUBLISHER_TO"),
        (["mirror", "us", "--to", "sqlite:///x", "--name", ""], "error: --name"),
        (["mirror", "us", "--to", "x"], "error: --to: not a database URL"),
        (
            ["mirror", "us", "--to", "postgresql://me:hunter2@h"],
            "error: --to: the URL names no database",
        ),
        (["tail", "us", "--lines", "-1"], "--lines"),
        (["tail", "us", "--lines", "1", "--since", "1"], "error: --since, --lines: "),
        (["tail", "us", "--since", "soon"], "error: 'soon' is not a point in history"),
        (
            ["tail", "us", "--type", "moved"],
            "error: --type: 'moved' is unknown; known: added, ",
        ),
        (["verify", "us", "--to", "sqlite:///x", "--projection", "y"], "error: --projection: "),
        (["tail", "us", "--config", "nope.toml"], "error: nope.toml: no such file"),
        (["dance"], "No such command"),
    ],
)
def test_a_wrong_command_line(words: list[str], expected: str, folder: Path) -> None:
    """Exit code 2 and the reason; no password is repeated."""
    done = call(CONSUMER, *words, cwd=folder)
    assert done.returncode == 2
    assert expected in done.stderr
    assert "hunter2" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.contract("7")
def test_help_of_every_command(folder: Path) -> None:
    """The summary in the list of commands is the first line of the command's own help."""
    listed = " ".join(call(CONSUMER, "--help", cwd=folder).stdout.split())
    for name, summary in COMMANDS.items():
        assert f"{name} {summary}" in listed
        explained = call(CONSUMER, name, "--help", cwd=folder).stdout
        assert summary in " ".join(explained.split())
