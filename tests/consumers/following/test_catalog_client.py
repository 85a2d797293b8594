"""`CatalogClient` waits for a valid state, and tries to publish checkpoints."""

import asyncio
import json
from typing import Any

import pytest

from consumers.errors import NoState
from consumers.following.catalog_client import Timing, connect
from plumbing.redis.server import Server
from tests.consumers.logged import logged
from tests.consumers.mirrors import (
    execute,
    mirror_once,
    running_mirror,
    stored_rows,
    wait_until_equal,
)
from tests.consumers.pretend_publisher import PretendPublisher, row, tree
from tests.consumers.stream_faults import StreamFault
from tests.support.waiting import eventually

HOME, GARDEN, TOYS = row("1", "Home"), row("2", "Garden", "1"), row("3", "Toys")


async def test_it_waits_for_the_first_poll(
    server: Server, publisher: PretendPublisher, to: str, logs: list[Any]
) -> None:
    """A mirror may start before the catalog exists; it logs once that it waits."""
    async with running_mirror(server, to):
        await eventually(logged(logs, "no valid state, waiting"))
        await publisher.commit(tree(HOME))
        await wait_until_equal(to, publisher)
        await eventually(logged(logs, "resynced"))
    assert [log["event"] for log in logs] == ["started", "no valid state, waiting", "resynced"]


@pytest.mark.contract("2")
async def test_it_publishes_its_checkpoint(
    server: Server, publisher: PretendPublisher, to: str
) -> None:
    """Its checkpoint is stored in the hash of consumers, under its name."""
    await publisher.commit(tree(HOME))
    async with running_mirror(server, to):
        await wait_until_equal(to, publisher)
        await publisher.commit(tree(HOME, GARDEN))

        async def is_published() -> bool:
            value = await publisher.client.hget("catalog:{us}:consumers", "mirror")
            checkpoint: dict[str, Any] = json.loads(value or "{}")
            updated_at = checkpoint.pop("updated_at", None)
            return updated_at is not None and checkpoint == {
                "epoch": publisher.epoch,
                "sequence": 2,
                "offset": "2-0",
                "digest": f"{publisher.digest:016x}",
            }

        await eventually(is_published)


async def _delete_meta(publisher: PretendPublisher) -> None:
    await publisher.client.delete(publisher.meta)


async def _flush(publisher: PretendPublisher) -> None:
    await publisher.client.flushall()


async def _change_row(publisher: PretendPublisher) -> None:
    await publisher.client.hset(publisher.categories, "1", json.dumps(HOME | {"local_name": "X"}))


async def _break_row(publisher: PretendPublisher) -> None:
    await publisher.client.hset(publisher.categories, "1", "no json")


async def _swap_rows(publisher: PretendPublisher) -> None:
    rows = {"1": json.dumps(GARDEN), "2": json.dumps(HOME)}
    await publisher.client.hset(publisher.categories, mapping=rows)


async def _evict(publisher: PretendPublisher) -> None:
    await publisher.client.delete(publisher.categories)


async def _drop_row(publisher: PretendPublisher) -> None:
    await publisher.client.hdel(publisher.categories, "2")


async def _empty_state(publisher: PretendPublisher) -> None:
    await publisher.client.delete(publisher.categories)
    await publisher.client.hset(publisher.meta, mapping={"count": 0, "digest": "0" * 16})


async def _other_contract(publisher: PretendPublisher) -> None:
    await publisher.client.hset(publisher.meta, "contract", "2")


async def _broken_meta(publisher: PretendPublisher) -> None:
    await publisher.client.hset(publisher.meta, "sequence", "many")


async def _meta_of_another_type(publisher: PretendPublisher) -> None:
    await publisher.client.set(publisher.meta, "text")


async def _rows_of_another_type(publisher: PretendPublisher) -> None:
    await publisher.client.set(publisher.categories, "text")


async def _events_of_another_type(publisher: PretendPublisher) -> None:
    await publisher.client.set(publisher.events, "text")


DAMAGES = [
    _delete_meta,
    _flush,
    _change_row,
    _break_row,
    _swap_rows,
    _evict,
    _drop_row,
    _empty_state,
    _other_contract,
    _broken_meta,
    _meta_of_another_type,
    _rows_of_another_type,
]


@pytest.mark.contract("5.7")
@pytest.mark.parametrize("damage", DAMAGES)
async def test_nothing_to_resync_to(
    server: Server, publisher: PretendPublisher, to: str, logs: list[Any], damage: StreamFault
) -> None:
    """A missing or damaged state changes nothing in a copy.

    With --once it is an error in one line; without, the mirror waits and follows on afterwards.
    """
    await check_damage(server, publisher, to, logs, damage)


async def test_no_stream_to_read(real_server: Server, to: str, logs: list[Any]) -> None:
    """The same if the stream's key holds another type (fakeredis has a bug there)."""
    async with real_server.client() as client:
        publisher = PretendPublisher(client)
        await check_damage(real_server, publisher, to, logs, _events_of_another_type)


async def check_damage(
    server: Server, publisher: PretendPublisher, to: str, logs: list[Any], damage: StreamFault
) -> None:
    await publisher.commit(tree(HOME, GARDEN))
    await mirror_once(server, to)
    before, backup = stored_rows(to), await publisher.backup()
    await damage(publisher)
    execute(to, "UPDATE checkpoints SET epoch = '00000000'")  # so that it must resync
    with pytest.raises(NoState, match=r"catalog.*us"):
        await mirror_once(server, to)
    assert stored_rows(to) == before
    async with running_mirror(server, to):
        await eventually(logged(logs, "no valid state, waiting"))
        assert stored_rows(to) == before
        await publisher.restore(backup)
        await publisher.commit(tree(HOME, TOYS))
        await wait_until_equal(to, publisher)
    assert sum(log["event"] == "no valid state, waiting" for log in logs) == 1


async def test_rows_restored_by_hand(
    server: Server, publisher: PretendPublisher, to: str, logs: list[Any]
) -> None:
    """A damaged state that somebody repairs without a commit is noticed too."""
    await publisher.commit(tree(HOME, GARDEN))
    await publisher.client.hdel(publisher.categories, "2")
    async with running_mirror(server, to):
        await eventually(logged(logs, "no valid state, waiting"))
        await publisher.client.hset(publisher.categories, "2", json.dumps(GARDEN))
        await wait_until_equal(to, publisher)


@pytest.mark.contract("5.7")
async def test_a_wipe_is_noticed_without_an_event(
    server: Server, publisher: PretendPublisher, to: str, logs: list[Any]
) -> None:
    """An emptied server empties no copy, though there is no event to read.

    When the state is back, the resync logs its reason.
    """
    await publisher.commit(tree(HOME, GARDEN))
    backup = await publisher.backup()
    async with running_mirror(server, to):
        await wait_until_equal(to, publisher)
        await eventually(logged(logs, "resynced"))
        logs.clear()
        await publisher.client.flushall()
        await eventually(logged(logs, "no valid state, waiting"))
        assert stored_rows(to) == tree(HOME, GARDEN)
        await publisher.restore(backup)
        await eventually(logged(logs, "resynced"))
    gone = "catalog us is not in Redis: has a publisher polled it yet?"
    assert [log["reason"] for log in logs] == [gone, gone]


async def test_a_checkpoint_that_cannot_be_published(
    server: Server, publisher: PretendPublisher, to: str, logs: list[Any]
) -> None:
    """If Redis rejects the checkpoint, that is logged once, and the mirror continues.

    As soon as Redis accepts it again it is published, though nothing else happens.
    """
    await publisher.commit(tree(HOME))
    await publisher.client.set("catalog:{us}:consumers", "text")
    async with running_mirror(server, to):
        await wait_until_equal(to, publisher)
        await eventually(logged(logs, "checkpoint not published, continuing"))
        await publisher.client.delete("catalog:{us}:consumers")
        await eventually(logged(logs, "checkpoint published again"))
        logs.clear()
        await publisher.client.set("catalog:{us}:consumers", "text")
        for rows in ((HOME, GARDEN), (HOME,), (HOME, GARDEN)):
            await publisher.commit(tree(*rows))
            await wait_until_equal(to, publisher)
    assert sum("not published" in log["event"] for log in logs) == 1


async def test_a_key_of_another_type_is_checked_with_pauses(server: Server) -> None:
    """If `meta` could not be read, the whole state is not read again at once."""
    patient = Timing(check_meta=0.01, check_rows=30)
    async with connect(server, "us", once=False, timing=patient) as events:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await events._wait_for_change(None)


async def test_the_last_entries_are_as_many_as_asked_for(
    server: Server, publisher: PretendPublisher
) -> None:
    """The oldest first."""
    for number in range(1, 5):
        await publisher.commit(tree(HOME | {"local_name": f"Home {number}"}))
    async with connect(server, "us", once=True) as events:
        last, meta = await events.last_entries(2)
        before = await events.entries_before("4-0", 2)
    assert [entry.offset for entry in last] == ["3-0", "4-0"]
    assert meta.offset == "4-0"
    assert [entry.offset for entry in before] == ["2-0", "3-0"]
