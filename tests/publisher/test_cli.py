"""The command line of `category-publisher` as a whole."""

import importlib
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import redis
import typer.main

from publisher.cli import COMMANDS
from tests.support.processes import PUBLISHER, call, start
from tests.support.trees import body, tree, wide
from tests.support.valkey import Valkey
from tests.support.waiting import PATIENCE, eventually_now


@pytest.fixture
def workdir(folder: Path, valkey: Valkey, keys: redis.Redis) -> Path:  # noqa: ARG001  empties it
    """Give a folder with a configuration of catalogs `us` and `uk` from a file."""
    (folder / "publisher.toml").write_text(
        f'redis_url = "{valkey.url}"\n'
        '[catalogs.us]\nsource = "file"\nurl = "tree.json"\n'
        '[catalogs.uk]\nsource = "file"\nurl = "tree.json"\n'
    )
    (folder / "tree.json").write_bytes(body(tree(("1", "0", "Käse & <b>\n", True))))
    return folder


@pytest.mark.contract("7")
def test_help_of_every_command(folder: Path) -> None:
    """The list shows the first line of each command's help, and all take --config."""
    listed = call(PUBLISHER, "--help", cwd=folder).stdout
    for name, summary in COMMANDS.items():
        assert f"  {name} " in listed
        command = typer.main.get_command(importlib.import_module(f"publisher.commands.{name}").app)
        assert (command.help or "").splitlines()[0] == summary
        explained = call(PUBLISHER, name, "--help", cwd=folder).stdout
        assert summary in " ".join(explained.split())
        assert "--config FILE" in explained


@pytest.mark.contract("7")
def test_a_wrong_command_line(folder: Path) -> None:
    """It exits with 2."""
    for words in (["publish"], ["sync", "--fast"], ["diff"], ["approve", "us"]):
        assert call(PUBLISHER, *words, cwd=folder).returncode == 2


@pytest.mark.parametrize("command", ["sync", "run"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_at_the_start_leaves_no_server(
    folder: Path, command: str, number: signal.Signals
) -> None:
    """A signal as soon as the embedded server runs stops that too."""
    (folder / "publisher.toml").write_text('[catalogs.us]\nsource = "file"\nurl = "us.json"\n')
    (folder / "us.json").write_bytes(body(wide(20_000)))
    process = start(PUBLISHER, command, cwd=folder)
    me = psutil.Process(process.pid)
    servers = eventually_now(lambda: me.children(recursive=True))
    process.send_signal(number)
    process.communicate(timeout=PATIENCE)
    assert process.returncode in ({0} if command == "run" else {0, 128 + number})
    assert not [server for server in servers if psutil.pid_exists(server.pid)]


def test_output_that_cannot_be_written(workdir: Path) -> None:
    """A full disk is an error of one line; an ASCII terminal gets escapes."""
    assert call(PUBLISHER, "sync", "us", cwd=workdir).returncode == 0
    ascii_only = start(PUBLISHER, "diff", "uk", cwd=workdir, PYTHONIOENCODING="ascii")
    out, err = ascii_only.communicate(timeout=PATIENCE)
    assert ascii_only.returncode == 0, err
    assert "K\\xe4se" in out
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        words = [sys.executable, "-m", PUBLISHER, "export", "us"]
        done = subprocess.run(words, cwd=workdir, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1
    assert done.stderr.decode() == (
        "error: standard output cannot be written: No space left on device\n"
    )
