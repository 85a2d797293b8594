"""Faults of a stream and its state, after which a copy must become equal again.

Each fault can happen to any catalog with a state, also one after the other.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

from tests.consumers.pretend_publisher import PretendPublisher, Tree, row, tree

StreamFault: TypeAlias = Callable[[PretendPublisher], Awaitable[None]]

EARLIER: Final = "2026-11-22T09:40:03.569Z"
"""A day before the publisher's other times."""


def another(publisher: PretendPublisher, count: int = 3) -> Tree:
    """Return another tree: some rows are changed, some removed, some added."""
    number = publisher.commits + 1
    rows = [row(str(id_), f"Category {id_} of {number}") for id_ in range(number, number + count)]
    return tree(row("7000", f"Root of {number}"), *(one | {"parent_id": "7000"} for one in rows))


async def gap(publisher: PretendPublisher) -> None:
    """Delete an event in the middle of the stream."""
    await publisher.commit(another(publisher))
    newest = await publisher.client.xrevrange(publisher.events, count=2)
    await publisher.client.xdel(publisher.events, newest[-1][0])


async def last_event_lost(publisher: PretendPublisher) -> None:
    """Delete the last event, so that no later event shows the gap."""
    await publisher.commit(another(publisher))
    ((offset, _),) = await publisher.client.xrevrange(publisher.events, count=1)
    await publisher.client.xdel(publisher.events, offset)


async def trimmed(publisher: PretendPublisher) -> None:
    """Trim the stream past every checkpoint."""
    await publisher.commit(another(publisher, 50))
    await publisher.client.xtrim(publisher.events, maxlen=3, approximate=False)


async def trimmed_to_nothing(publisher: PretendPublisher) -> None:
    """Trim the stream to nothing."""
    await publisher.commit(another(publisher, 5))
    await publisher.client.xtrim(publisher.events, maxlen=0, approximate=False)


async def stream_lost(publisher: PretendPublisher) -> None:
    """Delete the key of the stream."""
    await publisher.commit(another(publisher, 5))
    await publisher.client.delete(publisher.events)


async def wiped(publisher: PretendPublisher) -> None:
    """Empty Redis, and publish from the start."""
    await publisher.client.flushall()
    began, publisher.tree, publisher.digest, publisher.commits = publisher.commits, {}, 0, 0
    await publisher.begin_epoch(f"{began:08x}", another(publisher))


async def new_epoch(publisher: PretendPublisher) -> None:
    """Repair (contract, 5.2)."""
    await publisher.begin_epoch(f"{publisher.commits:08x}", another(publisher))


async def new_epoch_without_events(publisher: PretendPublisher) -> None:
    """Repair without a change of a category: only `meta` changes."""
    publisher.epoch, publisher.sequence = f"{publisher.commits:07x}e", 0
    await publisher.client.hset(
        publisher.meta, mapping={"epoch": publisher.epoch, "sequence": publisher.sequence}
    )


async def tampered_field(publisher: PretendPublisher) -> None:
    """Publish events with other names than the state has."""

    def change(event: dict[str, Any]) -> None:
        event["data"]["category"] |= {"local_name": "forged"}

    await _commit_tampered(publisher, change)


async def tampered_digest(publisher: PretendPublisher) -> None:
    """Publish events with another digest, in both fields that contain it."""

    def change(event: dict[str, Any]) -> None:
        event["data"]["digest"] = "0123456789abcdef"
        event["id"] = f"{event['id'].rpartition('-')[0]}-0123456789abcdef"

    await _commit_tampered(publisher, change)


async def unreadable(publisher: PretendPublisher) -> None:
    """Publish entries whose event is not JSON."""
    publisher.encode = lambda event: json.dumps(event)[:-1]
    await publisher.commit(another(publisher))
    publisher.encode = json.dumps


async def _commit_tampered(
    publisher: PretendPublisher, change: Callable[[dict[str, Any]], None]
) -> None:
    def encode(event: dict[str, Any]) -> str:
        copy = json.loads(json.dumps(event))
        change(copy)
        return json.dumps(copy)

    publisher.encode = encode
    await publisher.commit(another(publisher))
    publisher.encode = json.dumps


async def foreign_entry_before(publisher: PretendPublisher) -> None:
    """Add an entry that is not an event before the next event."""
    await publisher.client.xadd(
        publisher.events, {"hello": "world"}, id=f"{publisher.commits}-7777"
    )
    await publisher.commit(another(publisher))


async def foreign_entry_after(publisher: PretendPublisher) -> None:
    """Add an entry that is not an event after the last event."""
    await publisher.commit(another(publisher))
    await publisher.client.xadd(publisher.events, {"event": "{"}, id=f"{publisher.commits}-7777")


async def clock_set_back(publisher: PretendPublisher) -> None:
    """Publish with an earlier time than that of the last event."""
    publisher.time = EARLIER
    await publisher.commit(another(publisher))


STREAM_FAULTS: Final[list[StreamFault]] = [
    gap,
    last_event_lost,
    trimmed,
    trimmed_to_nothing,
    stream_lost,
    wiped,
    new_epoch,
    new_epoch_without_events,
    tampered_field,
    tampered_digest,
    unreadable,
    foreign_entry_before,
    foreign_entry_after,
    clock_set_back,
]
