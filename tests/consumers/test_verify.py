"""`verify`: equal, different, or nothing to compare."""

import asyncio
import json

import pytest

from consumers.errors import CannotCompare, NoState
from consumers.following.catalog_client import connect
from consumers.sql.database import open_database
from consumers.sql.mirror import Mirror
from consumers.verify import Verdict, verify_projection
from plumbing.redis.server import Server
from tests.consumers.mirrors import execute, mirror_once
from tests.consumers.pretend_publisher import PretendPublisher, numbered, row, tree
from tests.support.messages import whole
from tests.support.waiting import PATIENCE

HOME, GARDEN, TOYS = row("1", "Home"), row("2", "Garden", "1"), row("3", "Toys")


async def verified(server: Server, to: str, within: float = 0.0) -> Verdict:
    """Compare as the command does."""
    async with (
        open_database(to, must_exist=True) as copy,
        connect(server, "us", once=True) as events,
    ):
        return await verify_projection(events, Mirror(copy, "us"), within=within)


async def test_equal(server: Server, publisher: PretendPublisher, to: str) -> None:
    """A copy at the state's position with the same rows."""
    await publisher.commit(tree(HOME, GARDEN))
    await mirror_once(server, to)
    assert await verified(server, to) == Verdict(publisher.position, 2, [])


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("DELETE FROM categories WHERE id = '2'", r"missing: 2 'Garden'"),
        (
            "INSERT INTO categories VALUES ('us', '9', '0', 'X' || char(10), 1)",
            r"unexpected: 9 'X\n'",
        ),
        (
            "UPDATE categories SET local_name = '[b]', is_leaf = 0 WHERE id = '1'",
            "different: 1: local_name is '[b]', in the state 'Home'; is_leaf is False, in the state True",
        ),
    ],
)
async def test_different(
    server: Server, publisher: PretendPublisher, to: str, statement: str, expected: str
) -> None:
    """A changed row is listed, and the copy does not have its checkpoint's digest."""
    await publisher.commit(tree(HOME, GARDEN))
    await mirror_once(server, to)
    execute(to, statement)
    damage, line = (await verified(server, to)).differences
    assert "something else wrote to it" in damage
    assert line == expected


async def test_many_differences(server: Server, publisher: PretendPublisher, to: str) -> None:
    """Twenty are listed, the others are counted."""
    await publisher.commit(numbered(50))
    await mirror_once(server, to)
    execute(to, "DELETE FROM categories WHERE id <= '33'")
    lines = (await verified(server, to)).differences[1:]
    assert len(lines) == 21
    assert lines[-1] == "and 7 more rows"


async def test_a_consistent_copy_that_differs(
    server: Server, publisher: PretendPublisher, to: str
) -> None:
    """A copy of another history fits its checkpoint at that position, not the state."""
    await publisher.commit(tree(HOME, GARDEN))
    await mirror_once(server, to)
    await publisher.client.flushall()
    publisher.tree, publisher.digest = {}, 0
    await publisher.begin_epoch(publisher.epoch, tree(HOME, TOYS))
    verdict = await verified(server, to)
    assert verdict.differences == ["unexpected: 2 'Garden'", "missing: 3 'Toys'"]


async def test_damage_is_reported_at_once(
    server: Server, publisher: PretendPublisher, to: str
) -> None:
    """Even if the copy lags or the state is missing: it does not fit its checkpoint."""
    await publisher.commit(tree(HOME, GARDEN))
    await mirror_once(server, to)
    execute(to, "DELETE FROM categories")
    await publisher.commit(tree(HOME))
    assert len((await verified(server, to, within=PATIENCE)).differences) == 1
    await publisher.client.flushall()
    assert len((await verified(server, to)).differences) == 1


async def test_a_copy_that_lags(server: Server, publisher: PretendPublisher, to: str) -> None:
    """It gets time to catch up; if it does not, it cannot be compared."""
    await publisher.commit(tree(HOME))
    await mirror_once(server, to)
    before = publisher.position
    await publisher.commit(tree(HOME, GARDEN))
    with pytest.raises(
        CannotCompare,
        match=whole(
            f"the copy is at {before}, the state at {publisher.position}: is its consumer running?"
        ),
    ):
        await verified(server, to)
    verifying = asyncio.create_task(verified(server, to, within=PATIENCE))
    await asyncio.wait([verifying], timeout=0.1)
    await mirror_once(server, to)
    assert (await verifying).differences == []


async def test_another_epoch(server: Server, publisher: PretendPublisher, to: str) -> None:
    """The same rows under another epoch are not compared."""
    await publisher.commit(tree(HOME))
    await mirror_once(server, to)
    await publisher.client.hset(publisher.meta, "epoch", "00000002")
    with pytest.raises(
        CannotCompare,
        match=whole(
            "the copy is at <any>-1-aadf6762fb503ed6, the state at "
            "<any>-1-aadf6762fb503ed6: is its consumer running?"
        ),
    ):
        await verified(server, to)


async def test_no_copy(server: Server, publisher: PretendPublisher, to: str) -> None:
    """A database with only another catalog has no checkpoint of this one."""
    uk = PretendPublisher(publisher.client, "uk")
    await uk.commit(tree(HOME))
    await mirror_once(server, to, "uk")
    await publisher.commit(tree(HOME))
    with pytest.raises(
        CannotCompare,
        match=whole("the database has no checkpoint of it: has a consumer ever written it?"),
    ):
        await verified(server, to)


async def test_no_state(server: Server, publisher: PretendPublisher, to: str) -> None:
    """A missing or damaged state proves nothing about the copy."""
    await publisher.commit(tree(HOME, GARDEN))
    await mirror_once(server, to)
    await publisher.client.hset(publisher.categories, "1", json.dumps(TOYS | {"id": "1"}))
    with pytest.raises(
        NoState,
        match=whole(
            "the state of catalog us is damaged: the rows have digest 6e0ee1ba3be82ac4, but "
            "meta says a6ccb328470b87af"
        ),
    ):
        await verified(server, to)
    await publisher.client.flushall()
    with pytest.raises(
        NoState, match=whole("catalog us is not in Redis: has a publisher polled it yet?")
    ):
        await verified(server, to)
