"""`category-consumer verify` as a process."""

from pathlib import Path

import orjson
import pytest

from consumers.projection_kinds import KINDS
from plumbing.redis.server import Server
from tests.consumers.mirrors import (
    execute,
    run_once,
    tables_in,
)
from tests.consumers.pretend_publisher import PretendPublisher, row, tree
from tests.support.processes import CONSUMER, call

HOME = row("1", "Home")


@pytest.mark.contract("7")
async def test_verify_without_anything(publisher: PretendPublisher, to: str, cwd: Path) -> None:
    """No file, no state or no server: exit code 2, one line, and nothing is created."""
    await publisher.commit(tree(HOME))
    verify = ("verify", "us", "--to", "sqlite:///copy.sqlite")
    done = call(CONSUMER, *verify, cwd=cwd)
    assert done.returncode == 2
    assert done.stderr == "error: sqlite:///copy.sqlite: there is no such file\n"
    assert [path.name for path in cwd.iterdir()] == ["publisher.toml"]
    execute(to, "CREATE TABLE other (id INTEGER)")
    done = call(CONSUMER, *verify, cwd=cwd)
    assert done.returncode == 2
    assert "has a projection ever written to it?" in done.stderr
    assert call(CONSUMER, "mirror", "us", "--to", to, "--once", cwd=cwd).returncode == 0
    await publisher.client.flushall()
    assert call(CONSUMER, *verify, cwd=cwd).returncode == 2
    nowhere = {"CATEGORY_PUBLISHER_REDIS_URL": "redis://127.0.0.1:1/0"}
    done = call(CONSUMER, *verify, cwd=cwd, **nowhere)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


@pytest.mark.contract("7")
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (None, ()),
        (None, ("--repair",)),
        ("mirror", ("--json",)),
        ("history", ("--repair",)),
        ("map", ()),
    ],
)
async def test_verify_of_a_database_without_tables(
    publisher: PretendPublisher, to: str, cwd: Path, kind: str | None, words: tuple[str, ...]
) -> None:
    """It exits with 2 and one line, and creates nothing, also with --repair."""
    await publisher.commit(tree(HOME))
    execute(to, "CREATE TABLE other (id INTEGER)")
    chosen = ("--projection", kind) if kind else ()
    done = call(CONSUMER, "verify", "us", "--to", to, *chosen, *words, cwd=cwd)
    about = f"us: {kind}: " if kind else ""
    reason = f"{to}: no such table: checkpoints (has a projection ever written to it?)"
    assert done.returncode == 2
    assert done.stderr == f"error: {about}{reason}\n"
    if kind and words == ("--json",):
        nothing: dict[str, object] = {"position": None, "categories": None, "differences": []}
        expected = nothing | {"catalog": "us", "projection": kind, "outcome": "not compared"}
        assert orjson.loads(done.stdout) == expected | {"error": reason}
    else:
        assert done.stdout == ""
    assert tables_in(to) == ["other"]
    assert await publisher.client.exists("catalog:{us}:consumers") == 0


async def test_verify_of_a_file_that_is_no_database(
    publisher: PretendPublisher, to: str, cwd: Path
) -> None:
    """It exits with 2 and one line, and leaves the file as it is."""
    await publisher.commit(tree(HOME))
    file = Path(to.removeprefix("sqlite:///"))
    file.write_text("a letter, and no database" * 100)
    done = call(CONSUMER, "verify", "us", "--to", to, "--repair", cwd=cwd)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: {to}: file is not a database (name another file)\n"
    assert file.read_text() == "a letter, and no database" * 100


@pytest.mark.contract("7")
async def test_verify_of_several_projections(
    real_server: Server, publisher: PretendPublisher, to: str, cwd: Path
) -> None:
    """Each has its line; exit code 1 wins over 2; an unknown projection is ignored."""
    await publisher.commit(tree(HOME))
    for kind in ("history", "mirror"):
        await run_once(real_server, to, kind)
    at = publisher.position
    execute(to, "UPDATE categories SET is_leaf = 0")
    all_ = (word for kind in KINDS for word in ("--projection", kind))
    done = call(CONSUMER, "verify", "us", "--to", to, "--json", *all_, cwd=cwd)
    assert done.returncode == 1
    mirror, history, map_ = (orjson.loads(line) for line in done.stdout.splitlines())
    assert mirror.pop("differences")[1] == "different: 1: is_leaf is False, in the state True"
    both: dict[str, object] = {"catalog": "us", "categories": 1, "position": at, "error": None}
    assert mirror == both | {"projection": "mirror", "outcome": "different"}
    assert history == both | {"projection": "history", "outcome": "equal", "differences": []}
    assert (map_["projection"], map_["outcome"]) == ("map", "not compared")
    assert done.stderr == f"error: us: map: {map_['error']}\n"
    execute(to, "INSERT INTO checkpoints VALUES ('own', 'us', '9f3c1a2b', 1, '1-0', 'x', 'x')")
    done = call(CONSUMER, "verify", "us", "--to", to, "--repair", cwd=cwd)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0] == f"us: mirror: repaired: 1 categories at {at}"
    assert lines[-1] == f"us: history: equal: 1 categories at {at}"
    assert orjson.loads(done.stderr)["projection"] == "own"


@pytest.mark.contract("7")
async def test_verify_of_a_missing_projection(
    real_server: Server, publisher: PretendPublisher, to: str, cwd: Path
) -> None:
    """A projection that was never written, or none at all, is exit code 2."""
    await publisher.commit(tree(HOME))
    await run_once(real_server, to)
    verify = ("verify", "us", "--to", to)
    done = call(CONSUMER, *verify, "--projection", "map", cwd=cwd)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: us: map: ")
    execute(to, "DELETE FROM checkpoints")
    done = call(CONSUMER, *verify, cwd=cwd)
    assert done.returncode == 2
    assert "has no projection of catalog us" in done.stderr


@pytest.mark.contract("7")
async def test_nothing_to_repair_from(
    real_server: Server, publisher: PretendPublisher, to: str, cwd: Path
) -> None:
    """A damaged copy is different, and the reason why it is not repaired is printed."""
    await publisher.commit(tree(HOME))
    await run_once(real_server, to)
    execute(to, "DELETE FROM categories")
    await publisher.client.flushall()
    done = call(CONSUMER, "verify", "us", "--to", to, "--repair", cwd=cwd)
    assert done.returncode == 1
    assert done.stdout.startswith("us: mirror: different: 0 categories")
    assert done.stderr.splitlines()[-1].startswith("error: us: mirror: catalog us is not in Redis")
