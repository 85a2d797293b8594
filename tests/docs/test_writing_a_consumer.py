"""The page for those who write a consumer: its code runs, and what it says of the schemas is so."""

import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import orjson
import pytest
import redis.asyncio

from publisher.polling.poll import poll_once
from publisher.state.store import Store
from tests.support.catalogs import make_catalog
from tests.support.contract import digest_of
from tests.support.paths import DOCS
from tests.support.scripted_source import ScriptedSource
from tests.support.trees import tree
from tests.support.valkey import Valkey
from tests.support.waiting import eventually

PAGE = DOCS / "writing-a-consumer.md"
SCHEMAS = PAGE.parents[1] / "schemas"
KEY = "catalog:{us}:meta"
FIELDS = ("id", "parent_id", "local_name", "is_leaf")
FIRST = tree(("1", "0"), ("2", "1"), ("3", "1"))
SECOND = tree(("3", "0"), ("1", "3", "moved", False), ("4", "1"))


@pytest.fixture
def consumer(folder: Path, valkey: Valkey) -> Iterator[Path]:
    """Run the page's consumer, and give its SQLite file."""
    code = re.search(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert code
    (folder / "consumer.py").write_text(code[1], "utf-8")
    file = folder / "copy.sqlite"
    words = [sys.executable, str(folder / "consumer.py"), valkey.url, "us", str(file)]
    process = subprocess.Popen(words, stderr=subprocess.PIPE)
    yield file
    process.kill()
    _, said = process.communicate()
    assert said == b""


async def test_its_consumer_follows(consumer: Path, real_client: redis.asyncio.Redis) -> None:
    """Through import, changes, a trimmed stream and a repair, to an equal copy each time."""
    source = ScriptedSource()
    catalog = make_catalog(Store(real_client, "us"), source)

    async def equals_state() -> bool:
        with closing(sqlite3.connect(consumer, timeout=10)) as copy:
            tables = {name for (name,) in copy.execute("SELECT name FROM sqlite_master")}
            rows = copy.execute("SELECT * FROM category").fetchall() if "category" in tables else []
        found = {row[0]: dict(zip(FIELDS, [*row[:3], bool(row[3])], strict=True)) for row in rows}
        return digest_of(found) == (await real_client.hget(KEY, "digest") or b"").decode()  # type: ignore[union-attr]

    source.says(FIRST)
    await poll_once(catalog)
    await eventually(equals_state)
    source.says(SECOND)
    await poll_once(catalog)
    await eventually(equals_state)
    await real_client.xtrim("catalog:{us}:events", 0, approximate=False)
    await real_client.delete("catalog:{us}:meta")
    source.says(FIRST)
    await poll_once(catalog)
    await eventually(equals_state)


def test_its_example_of_the_digest() -> None:
    """The example meta is that of the example category alone."""
    category = orjson.loads((SCHEMAS / "examples" / "category.json").read_bytes())
    meta = orjson.loads((SCHEMAS / "examples" / "meta.json").read_bytes())
    assert digest_of({category["id"]: category}) == meta["digest"]
    assert meta["count"] == "1"
