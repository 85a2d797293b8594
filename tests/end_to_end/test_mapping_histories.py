"""The real history: every leaf of a version mapped, and exactly what its successor breaks told."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import orjson
import pytest

from consumers.following.catalog_client import connect
from consumers.following.reader import Reader
from consumers.following.runner import run_projection
from consumers.mapping.linking import Wish
from consumers.mapping.model import Own, Status
from consumers.mapping.output import export_json
from consumers.mapping.projection import MapProjection
from consumers.mapping.service import Desk
from consumers.sql.database import open_database
from plumbing.redis.server import Server
from tests.support.processes import PUBLISHER, call
from tests.support.valkey import Valkey

Rows: TypeAlias = Mapping[str, dict[str, Any]]

REMOVED, FLIPPED = 81, 11
"""What ../shared/data/README.md says of 0.13.0 → 0.15.0."""


class Story:
    """A shop that maps all leaves of a real tree, published and watched for real."""

    def __init__(self, to: str, trees: Path, valkey: Valkey, folder: Path) -> None:
        self.to, self.trees, self.valkey, self.folder = to, trees / "shopify", valkey, folder
        (folder / "publisher.toml").write_text(
            f'redis_url = "{valkey.url}"\n[catalogs.us]\nsource = "file"\nurl = "us.json"\n'
        )

    async def publish(self, version: str) -> Rows:
        """Let `version` be published and watched, and return its rows."""
        content = (self.trees / f"{version}.json").read_bytes()
        (self.folder / "us.json").write_bytes(content)
        done = call(PUBLISHER, "sync", cwd=self.folder)
        assert done.returncode == 0, done.stderr
        server = Server(self.valkey.url)
        async with (
            open_database(self.to) as opened,
            connect(server, "us", once=True) as events,
        ):
            await run_projection(MapProjection(opened, "us"), Reader(events, "map", once=True))
        return {row["id"]: row for row in orjson.loads(content)}

    async def map_all(self, ids: list[str]) -> None:
        """Import and link an own category for each of `ids`."""
        async with open_database(self.to) as opened:
            desk = Desk(opened, "us")
            await desk.bring([Own(f"own-{id_}", "Own", "Own") for id_ in ids])
            await desk.link([Wish(f"own-{id_}", id_) for id_ in ids])

    async def told(self) -> dict[str, Status]:
        """Return, by category, how each mapping stands that is not valid."""
        async with open_database(self.to) as opened:
            atlas = await Desk(opened, "us").look()
        found = atlas.mappings.values()
        assert orjson.loads(export_json(list(found)[:3], atlas))
        return {
            each.decision.id: each.status
            for each in found
            if each.decision and each.status.state != "valid"
        }


def leaves(rows: Rows) -> list[str]:
    """Return the ids of the leaves of `rows`."""
    return [id_ for id_, row in rows.items() if row["is_leaf"]]


def expected(old: Rows, new: Rows) -> dict[str, tuple[str, str]]:
    """Return what has to be told of mappings with all leaves of `old` where the tree is `new`."""
    gone = dict.fromkeys((id_ for id_ in leaves(old) if id_ not in new), ("broken", "removed"))
    inner = [id_ for id_ in leaves(old) if id_ in new and not new[id_]["is_leaf"]]
    return gone | dict.fromkeys(inner, ("broken", "no longer a leaf"))


@pytest.mark.parametrize(
    "database_url",
    [
        "sqlite",
        pytest.param("postgres", marks=pytest.mark.slow),
        pytest.param("mariadb", marks=pytest.mark.slow),
    ],
    indirect=True,
)
async def test_a_real_history(
    database_url: str, real_trees: Path, valkey: Valkey, folder: Path
) -> None:
    """Each affected mapping is named with its reason and its event, none else; and back again."""
    async with valkey.client() as client:
        await client.flushall()
    story = Story(database_url, real_trees, valkey, folder)
    old = await story.publish("0.13.0")
    await story.map_all(leaves(old))
    assert await story.told() == {}
    new = await story.publish("0.15.0")
    assert len(old.keys() - new.keys()) == REMOVED
    assert sum(row != new.get(id_, row) for id_, row in old.items()) == FLIPPED
    told = await story.told()
    assert {id_: status[:2] for id_, status in told.items()} == expected(old, new)
    assert len(told) == 76
    assert len({status.since_event for status in told.values()}) == 76
    fresh = sorted(set(leaves(new)) - set(leaves(old)))
    await story.map_all(fresh)
    assert await story.told() == told
    await story.publish("0.13.0")
    both = {id_: new[id_] for id_ in fresh} | {id_: old[id_] for id_ in leaves(old)}
    told = await story.told()
    assert {id_: status[:2] for id_, status in told.items()} == expected(both, old)
    assert told.keys() == set(fresh)
