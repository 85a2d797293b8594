"""`Tail` prints new events and warns about every break of the history."""

import pytest

from consumers.errors import NoState
from plumbing.redis.server import Server
from tests.consumers.pretend_publisher import (
    PretendPublisher,
    numbered,
    row,
    tree,
)
from tests.consumers.tail.recorded_tail import has_warned, shown, tail_once, tailing
from tests.support.messages import whole
from tests.support.small_reads import BATCH
from tests.support.waiting import eventually

HOME, GARDEN, TOYS = row("1", "Home"), row("2", "Garden", "1"), row("3", "Toys")


async def test_it_follows(server: Server, publisher: PretendPublisher) -> None:
    """New events are printed when they are published; none is missed."""
    await publisher.commit(tree(HOME))
    async with tailing(server) as output:
        await eventually(lambda: shown(output, 1))
        await publisher.commit(tree(HOME, GARDEN))
        await publisher.commit(tree(HOME | {"local_name": "House"}))
        await eventually(lambda: shown(output, 1, 2, 3, 4))
    assert output.warnings == []


async def test_types(server: Server, publisher: PretendPublisher) -> None:
    """The last events of these types, however old they are, and then the new ones."""
    await publisher.commit(tree(HOME, TOYS))
    await publisher.commit(tree(HOME))
    await publisher.commit(tree(HOME | {"local_name": "House"}))
    await publisher.commit(tree(HOME | {"local_name": "House"}) | numbered(BATCH, first=2))
    assert await tail_once(server, 1, ["removed"]) == [3]
    assert await tail_once(server, 2, ["removed", "updated"]) == [3, 4]
    assert await tail_once(server, 2, ["added", "updated"]) == [BATCH + 3, BATCH + 4]
    assert await tail_once(server, 10, ["removed"]) == [3]
    async with tailing(server, 0, ["added"]) as output:
        await output.has_start.wait()
        await publisher.commit(numbered(BATCH + 1))
        await publisher.commit(numbered(BATCH + 2))
        await eventually(lambda: shown(output, BATCH + 6))


async def test_events_that_are_not_printed_are_checked(
    server: Server, publisher: PretendPublisher
) -> None:
    """There is a warning about a break between events that are not printed."""
    await publisher.commit(numbered(4))
    await publisher.client.xdel(publisher.events, "1-1")
    await publisher.commit(numbered(3))
    warning, *seen = await tail_once(server, 10, ["removed"])
    assert warning == "the history breaks: event 9f3c1a2b-3 does not follow 9f3c1a2b-1"
    assert seen == [5]


async def test_a_catalog_that_does_not_exist(server: Server) -> None:
    """A catalog that does not exist is an error with --once."""
    with pytest.raises(
        NoState, match=whole("catalog us is not in Redis: has a publisher polled it yet?")
    ):
        await tail_once(server)


async def test_it_waits_for_the_first_poll(server: Server, publisher: PretendPublisher) -> None:
    """Without --once a tail may start before the catalog exists."""
    async with tailing(server) as output:
        await publisher.commit(tree(HOME))
        await eventually(lambda: shown(output, 1))


async def test_a_gap(server: Server, publisher: PretendPublisher) -> None:
    """The warning about missing events is between the events around them."""
    await publisher.commit(numbered(3))
    await publisher.client.xdel(publisher.events, "1-1")
    seen = await tail_once(server)
    assert seen[0] == 1
    assert "9f3c1a2b-3 does not follow 9f3c1a2b-1" in str(seen[1])
    assert seen[2:] == [3]


async def test_another_epoch(server: Server, publisher: PretendPublisher) -> None:
    """A repair starts another history: there is a warning, and the tail goes on."""
    await publisher.commit(tree(HOME))
    async with tailing(server) as output:
        await eventually(lambda: shown(output, 1))
        await publisher.begin_epoch("00000002", tree(HOME, GARDEN))
        await eventually(lambda: shown(output, 1, 1))
        await publisher.commit(tree(HOME, GARDEN, TOYS))
        await eventually(lambda: shown(output, 1, 1, 2))
    assert await has_warned(output, "00000002-1 does not follow 9f3c1a2b-1")


async def test_a_wrong_digest(server: Server, publisher: PretendPublisher) -> None:
    """There is a warning about an event whose content was changed."""
    await publisher.commit(tree(HOME))
    publisher.digest ^= 1
    await publisher.commit(tree(HOME, GARDEN))
    seen = await tail_once(server)
    assert (seen[0], seen[2]) == (1, 2)
    assert "leads to digest" in str(seen[1])


async def test_an_entry_that_is_no_event(server: Server, publisher: PretendPublisher) -> None:
    """There is a warning about it, and the events around it still connect."""
    await publisher.commit(tree(HOME))
    await publisher.client.xadd(publisher.events, {"by": "hand"}, id="1-7")
    await publisher.commit(tree(HOME, GARDEN))
    assert await tail_once(server) == [1, "entry 1-7 has no field event", 2]


async def test_a_server_set_back(server: Server, publisher: PretendPublisher) -> None:
    """Lost events remain printed, and the events that replace them are printed too."""
    await publisher.commit(tree(HOME))
    backup = await publisher.backup()
    async with tailing(server) as output:
        await publisher.commit(tree(HOME, GARDEN))
        await eventually(lambda: shown(output, 1, 2))
        lost = publisher.position
        await publisher.restore(backup)
        expected = f"no event leads from {lost} to {publisher.position}"
        await eventually(lambda: has_warned(output, expected))
        await publisher.commit(tree(HOME, TOYS))
        await eventually(lambda: shown(output, 1, 2, 2))
    assert len(output.warnings) == 1


async def test_a_wipe(server: Server, publisher: PretendPublisher) -> None:
    """There is a warning about an emptied server, and the tail waits."""
    await publisher.commit(tree(HOME))
    async with tailing(server) as output:
        await eventually(lambda: shown(output, 1))
        await publisher.client.flushall()
        await eventually(lambda: has_warned(output, "catalog us is not in Redis"))
        publisher.tree, publisher.digest = {}, 0
        await publisher.begin_epoch("00000002", numbered(2))
        await eventually(lambda: has_warned(output, "is not in Redis", "no event leads from"))
        await publisher.commit(numbered(3))
        await eventually(lambda: shown(output, 1, 3))


async def test_a_last_event_that_is_not_the_state(
    server: Server, publisher: PretendPublisher
) -> None:
    """A repair without changes writes no event: the warning follows the last events."""
    await publisher.commit(tree(HOME))
    await publisher.client.hset(publisher.meta, mapping={"epoch": "00000002", "sequence": 0})
    seen = await tail_once(server)
    assert seen[0] == 1
    assert f"no event leads from {publisher.position} to 00000002-0-" in str(seen[1])
