"""A real history: all leaves are mapped; the next version breaks some mappings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import orjson
import pytest

from consumers.following.catalog_client import connect
from consumers.following.reader import Reader
from consumers.following.runner import run_projection
from consumers.mapping.linking import LinkRequest
from consumers.mapping.model import OwnCategory, Status
from consumers.mapping.output import mappings_to_json
from consumers.mapping.projection import MapProjection
from consumers.mapping.service import MappingService
from consumers.sql.database import open_database
from plumbing.redis.server import Server
from tests.support.processes import PUBLISHER, call
from tests.support.valkey import Valkey

Rows: TypeAlias = Mapping[str, dict[str, Any]]

REMOVED, UPDATED = 81, 11
"""Categories removed, and changed, from 0.13.0 to 0.15.0, by ../shared/data/README.md."""


class MappedShop:
    """A shop that maps the leaves of a real tree, published by the real command."""

    def __init__(self, to: str, trees: Path, valkey: Valkey, folder: Path) -> None:
        self.to, self.trees, self.valkey, self.folder = to, trees / "shopify", valkey, folder
        (folder / "publisher.toml").write_text(
            f'redis_url = "{valkey.url}"\n[catalogs.us]\nsource = "file"\nurl = "us.json"\n'
        )

    async def publish(self, version: str) -> Rows:
        """Publish `version` and let the mapping follow; return its rows."""
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
        """Import one of the shop's categories for each of `ids`, and link them."""
        async with open_database(self.to) as opened:
            service = MappingService(opened, "us")
            await service.import_categories(
                [OwnCategory(f"own-{id_}", "Own", "Own") for id_ in ids]
            )
            await service.link([LinkRequest(f"own-{id_}", id_) for id_ in ids])

    async def invalid_mappings(self) -> dict[str, Status]:
        """Return the status of each mapping that is not valid, by its category."""
        async with open_database(self.to) as opened:
            snapshot = await MappingService(opened, "us").read_all()
        found = snapshot.mappings.values()
        assert orjson.loads(mappings_to_json(list(found)[:3], snapshot))
        return {
            each.linked.id: each.status
            for each in found
            if each.linked and each.status.state != "valid"
        }


def leaves(rows: Rows) -> list[str]:
    """Return the ids of the leaves of `rows`."""
    return [id_ for id_, row in rows.items() if row["is_leaf"]]


def expected_statuses(old: Rows, new: Rows) -> dict[str, tuple[str, str]]:
    """Return state and reason of the mappings of leaves of `old` that `new` breaks."""
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
async def test_a_new_version_breaks_exactly_the_affected_mappings(
    database_url: str, real_trees: Path, valkey: Valkey, folder: Path
) -> None:
    """The affected mappings break, each with its reason and event; and back again."""
    async with valkey.client() as client:
        await client.flushall()
    shop = MappedShop(database_url, real_trees, valkey, folder)
    old = await shop.publish("0.13.0")
    await shop.map_all(leaves(old))
    assert await shop.invalid_mappings() == {}
    new = await shop.publish("0.15.0")
    assert len(old.keys() - new.keys()) == REMOVED
    assert sum(row != new.get(id_, row) for id_, row in old.items()) == UPDATED
    broken = await shop.invalid_mappings()
    assert {id_: status[:2] for id_, status in broken.items()} == expected_statuses(old, new)
    assert len(broken) == 76
    assert len({status.since_event for status in broken.values()}) == 76
    fresh = sorted(set(leaves(new)) - set(leaves(old)))
    await shop.map_all(fresh)
    assert await shop.invalid_mappings() == broken
    await shop.publish("0.13.0")
    both = {id_: new[id_] for id_ in fresh} | {id_: old[id_] for id_ in leaves(old)}
    broken = await shop.invalid_mappings()
    assert {id_: status[:2] for id_, status in broken.items()} == expected_statuses(both, old)
    assert broken.keys() == set(fresh)
