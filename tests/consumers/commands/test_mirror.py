"""`category-consumer mirror` as a process."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.consumers.commands.consumer_process import check_fit
from tests.consumers.mirrors import (
    execute,
    wait_until_equal,
)
from tests.consumers.pretend_publisher import PretendPublisher, numbered, row, tree
from tests.support.processes import CONSUMER, call
from tests.support.waiting import PATIENCE

HOME, GARDEN = row("1", "Home"), row("2", "Garden", "1")


@pytest.mark.contract("7")
async def test_mirror_once_and_verify(publisher: PretendPublisher, to: str, cwd: Path) -> None:
    """A copy is built, is equal, lags, catches up, and is different after a change."""
    await publisher.commit(tree(HOME))
    mirror = ("mirror", "us", "--to", "sqlite:///copy.sqlite", "--once")
    verify = ("verify", "us", "--to", "sqlite:///copy.sqlite")
    assert call(CONSUMER, *mirror, cwd=cwd).returncode == 0
    done = call(CONSUMER, *verify, cwd=cwd)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"us: mirror: equal: 1 categories at {publisher.position}\n"
    await publisher.commit(tree(HOME, GARDEN))
    assert call(CONSUMER, *mirror, cwd=cwd).returncode == 0
    execute(to, "DELETE FROM categories WHERE id = '1'")
    done = call(CONSUMER, *verify, cwd=cwd)
    assert done.returncode == 1
    assert "us: mirror: different: 1 categories" in done.stdout
    assert "missing: 1 'Home'" in done.stdout
    done = call(CONSUMER, *verify, "--repair", cwd=cwd)
    assert (done.returncode, done.stderr) == (0, "")
    repaired, *differences = done.stdout.splitlines()
    assert repaired == f"us: mirror: repaired: 2 categories at {publisher.position}"
    assert differences[1:] == ["missing: 1 'Home'"]


@pytest.mark.contract("5.8")
async def test_a_disk_that_fills_up(publisher: PretendPublisher, to: str, cwd: Path) -> None:
    """A mirror whose file cannot grow ends with exit code 1 and one line.

    The data stay.
    """
    await publisher.commit(tree(HOME))
    mirror = ["-m", CONSUMER, "mirror", "us", "--to", to, "--once"]
    assert call(CONSUMER, *mirror[2:], cwd=cwd).returncode == 0
    await publisher.commit(numbered(5_000))
    limited = ["sh", "-c", 'ulimit -f 200; exec "$@"', "sh", sys.executable, *mirror]
    done = subprocess.run(  # noqa: ASYNC221  nothing else is going on
        limited, cwd=cwd, capture_output=True, encoding="utf-8", timeout=PATIENCE, check=False
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"error: {to}: ")
    assert "Traceback" not in done.stderr
    check_fit(to)
    assert call(CONSUMER, *mirror[2:], cwd=cwd).returncode == 0
    await wait_until_equal(to, publisher)


async def test_a_file_that_may_not_be_written(
    publisher: PretendPublisher, to: str, cwd: Path
) -> None:
    """A read-only database is an error in one line."""
    await publisher.commit(tree(HOME))
    execute(to, "CREATE TABLE other (id INTEGER)")
    url = f"{to.replace('///', '///file:')}?mode=ro&uri=true"
    done = call(CONSUMER, "mirror", "us", "--to", url, "--once", cwd=cwd)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "may this user write to the file and its folder?" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.contract("8")
def test_other_programs_can_read_it_with_plain_sql(folder: Path) -> None:
    """An empty database has the tables and the view of the contract."""
    done = call(CONSUMER, "mirror", "us", "--to", "sqlite:///copy.sqlite", "--once", cwd=folder)
    assert done.returncode == 1
    with closing(sqlite3.connect(folder / "copy.sqlite")) as file:
        columns = {
            name: [column[1] for column in file.execute(f"PRAGMA table_info({name})")]
            for name in ("categories", "checkpoints", "category_paths")
        }
    assert columns == {
        "categories": ["catalog", "id", "parent_id", "local_name", "is_leaf"],
        "checkpoints": [
            "projection",
            "catalog",
            "epoch",
            "sequence",
            "stream_offset",
            "digest",
            "updated_at",
        ],
        "category_paths": ["catalog", "id", "depth", "path"],
    }
