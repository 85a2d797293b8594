"""A small publisher for tests of consumers, written from the contract (2 to 5).

`tests/consumers` never imports `publisher`, because a consumer must need only the contract.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from tests.support.contract import digest_of_row

TIME = "2026-11-23T09:40:03.569Z"

Row: TypeAlias = dict[str, Any]
Tree: TypeAlias = Mapping[str, Row]


def row(id_: str, local_name: str, parent_id: str = "0", *, is_leaf: bool = True) -> Row:
    return {"id": id_, "parent_id": parent_id, "local_name": local_name, "is_leaf": is_leaf}


def tree(*rows: Row) -> dict[str, Row]:
    return {each["id"]: each for each in rows}


def numbered(count: int, *, first: int = 1) -> dict[str, Row]:
    """Return a flat tree of `count` roots."""
    return tree(*(row(str(id_), f"Category {id_}") for id_ in range(first, first + count)))


def changes(old: Tree, new: Tree) -> Iterator[tuple[str, Row, Row | None]]:
    """Yield type, category and before: added and updated by depth, then removed (5.5)."""
    for one in sorted(new.values(), key=lambda one: (_depth(new, one), one["id"])):
        if one["id"] not in old:
            yield "added", one, None
        elif old[one["id"]] != one:
            yield "updated", one, old[one["id"]]
    removed = [one for one in old.values() if one["id"] not in new]
    for one in sorted(removed, key=lambda one: (-_depth(old, one), one["id"])):
        yield "removed", one, None


def _depth(where: Tree, one: Row) -> int:
    depth = 1
    while one["parent_id"] != "0":
        one, depth = where[one["parent_id"]], depth + 1
    return depth


class History:
    """Makes the events of one catalog."""

    def __init__(self, catalog: str = "us") -> None:
        self.catalog = catalog
        self.epoch = "9f3c1a2b"
        self.sequence = 0
        self.digest = 0
        self.tree: Tree = {}
        self.time = TIME

    @property
    def position(self) -> str:
        """The state's position."""
        return f"{self.epoch}-{self.sequence}-{self.digest:016x}"

    def go_to(self, new: Tree) -> list[dict[str, Any]]:
        """Make `new` the state and return the events that lead there."""
        old, self.tree = self.tree, dict(new)
        return [self._event(*change) for change in changes(old, new)]

    def _event(self, type_: str, one: Row, before: Row | None) -> dict[str, Any]:
        self.sequence += 1
        self.digest ^= digest_of_row(before or one) if type_ != "added" else 0
        self.digest ^= digest_of_row(one) if type_ != "removed" else 0
        data: dict[str, Any] = {"category": one}
        if before is not None:
            data |= {"before": before, "changed": [key for key in one if one[key] != before[key]]}
        return {
            "specversion": "1.0",
            "id": self.position,
            "source": f"/catalogs/{self.catalog}",
            "type": f"category.{type_}",
            "subject": one["id"],
            "time": self.time,
            "datacontenttype": "application/json",
            "dataschema": f"urn:category-publisher:category.{type_}:1",
            "epoch": self.epoch,
            "sequence": f"{self.sequence:020}",
            "data": {**data, "digest": f"{self.digest:016x}"},
        }


@dataclass(frozen=True)
class Backup:
    """The content of Redis about a catalog at one moment."""

    rows: dict[bytes, bytes]
    meta: dict[bytes, bytes]
    entries: list[tuple[bytes, dict[bytes, bytes]]]
    history: dict[str, Any]


class PretendPublisher(History):
    """Commits trees of one catalog: state, events and meta in one MULTI/EXEC."""

    def __init__(self, client: Any, catalog: str = "us") -> None:
        super().__init__(catalog)
        self.client = client
        self.commits = 0
        self.encode: Callable[[dict[str, Any]], str] = json.dumps
        self.categories, self.meta, self.events = (
            f"catalog:{{{catalog}}}:{name}" for name in ("categories", "meta", "events")
        )

    async def commit(self, new: Tree) -> None:
        """Make `new`, which must differ from the state, the state."""
        old = self.tree
        self.commits += 1
        async with self.client.pipeline(transaction=True) as pipeline:
            for index, event in enumerate(self.go_to(new)):
                offset = f"{self.commits}-{index}"
                pipeline.xadd(self.events, {"event": self.encode(event)}, id=offset)
            for one in new.values():
                pipeline.hset(self.categories, one["id"], json.dumps(one))
            for id_ in old.keys() - new.keys():
                pipeline.hdel(self.categories, id_)
            pipeline.hset(self.meta, mapping=self._meta(offset))
            await pipeline.execute()

    async def begin_epoch(self, epoch: str, new: Tree) -> None:
        """Repair (contract, 5.2): commit the changes to `new` in a new epoch."""
        self.epoch, self.sequence = epoch, 0
        await self.commit(new)

    async def backup(self) -> Backup:
        """Return the content of Redis, for `restore`."""
        return Backup(
            await self.client.hgetall(self.categories),
            await self.client.hgetall(self.meta),
            await self.client.xrange(self.events),
            {name: getattr(self, name) for name in ("epoch", "sequence", "digest", "tree")},
        )

    async def restore(self, backup: Backup) -> None:
        """Set the catalog back, as a failover to a lagging replica does."""
        async with self.client.pipeline(transaction=True) as pipeline:
            pipeline.delete(self.categories, self.meta, self.events)
            pipeline.hset(self.categories, mapping=dict(backup.rows))
            pipeline.hset(self.meta, mapping=dict(backup.meta))
            for offset, fields in backup.entries:
                pipeline.xadd(self.events, dict(fields), id=offset)
            await pipeline.execute()
        for name, value in backup.history.items():
            setattr(self, name, value)

    def _meta(self, offset: str) -> dict[str, str | int]:
        return {
            "contract": "1",
            "origin": "{}",
            "epoch": self.epoch,
            "sequence": self.sequence,
            "offset": offset,
            "digest": f"{self.digest:016x}",
            "count": len(self.tree),
            "committed_at": self.time,
        }
