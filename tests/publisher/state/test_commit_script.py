"""What commit.lua compares, checks and writes, with arguments written by hand."""

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pytest
import redis.exceptions

from publisher.state.store import COMMIT_SCRIPT
from tests.support.redis_servers import execute_on
from tests.support.valkey import Valkey, fake_client
from tests.support.waiting import eventually

KEY: Final = "catalog:{us}:"
KEYS: Final = [f"{KEY}{name}" for name in ("categories", "meta", "events", "hold")]
CATEGORIES, META, EVENTS, HOLD = KEYS
POSITION: Final = {"epoch": "a1", "sequence": "7", "digest": "d1"}
STORED: Final = {**POSITION, "committed_at": "monday", "offset": "5-1"}
NEW: Final = {"epoch": "a1", "sequence": "8", "digest": "d2", "committed_at": "tuesday"}
FOR_EVER: Final = 10**15
"""Milliseconds; longer than all time before now."""
MANY: Final = 10**6


async def run(
    client: Any,
    *,
    expected: Mapping[str, str] = POSITION,
    events: Sequence[str] = (),
    rows: Mapping[str, str] | None = None,
    removed: Sequence[str] = (),
    meta: Mapping[str, str] = NEW,
    max_age_ms: int = FOR_EVER,
    max_events: int = MANY,
) -> list[str]:
    """Run the script as a commit does, and return its reply."""
    pairs = [part for pair in (rows or {}).items() for part in pair]
    fields = [part for pair in meta.items() for part in pair]
    parts: list[Sequence[str]] = [events, pairs, removed, fields]
    reply: Any = await client.execute_command(
        *("EVAL", COMMIT_SCRIPT, len(KEYS), *KEYS),
        *(expected[name] for name in POSITION),
        *(max_age_ms, max_events),
        *(len(part) for part in parts),
        *(argument for part in parts for argument in part),
    )
    return [each.decode() for each in reply]


async def offsets(client: Any) -> list[str]:
    """Return the ids of the stream's entries."""
    return [offset.decode() for offset, _ in await client.xrange(EVENTS)]


async def raw(client: Any) -> dict[str, bytes]:
    """Return the bytes of all keys of the catalog, of whatever type."""
    return {key: await client.dump(key) for key in KEYS if await client.exists(key)}


@pytest.fixture
async def stored(client: Any) -> Any:
    """Return a client of a store with a state, a hold and one event."""
    await store(client)
    return client


async def store(client: Any) -> None:
    """Write a state, a hold and one event."""
    await client.hset(CATEGORIES, mapping={"1": "one", "2": "two"})
    await client.hset(META, mapping={**STORED, "unknown": "x"})
    await client.xadd(EVENTS, {"event": "first"}, id="5-1")
    await client.set(HOLD, "held")


@pytest.mark.contract("5.1")
async def test_one_commit_writes_everything(stored: Any) -> None:
    """Rows, events and the new meta; the hold and all old fields of meta are deleted."""
    reply = await run(
        stored, events=["second", "third"], rows={"3": "three", "1": "uno"}, removed=["2"]
    )
    added = await offsets(stored)
    assert reply == ["committed", added[-1]]
    assert [fields[b"event"] for _, fields in await stored.xrange(EVENTS)] == [
        b"first",
        b"second",
        b"third",
    ]
    assert await stored.hgetall(CATEGORIES) == {b"1": b"uno", b"3": b"three"}
    assert await stored.hgetall(META) == {
        name.encode(): value.encode() for name, value in {**NEW, "offset": added[-1]}.items()
    }
    assert await stored.exists(HOLD) == 0


@pytest.mark.contract("5.1")
async def test_a_first_commit_expects_no_meta(client: Any) -> None:
    """Nothing is stored: each expected part is empty."""
    nothing = dict.fromkeys(POSITION, "")
    assert await run(client, expected=nothing, events=["first"], rows={"1": "one"}) == [
        "committed",
        *await offsets(client),
    ]
    assert await client.hgetall(CATEGORIES) == {b"1": b"one"}


@pytest.mark.contract("5.1")
@pytest.mark.contract("5.3")
@pytest.mark.parametrize("stale", POSITION)
async def test_a_commit_that_is_stale_in_one_part_writes_nothing(stored: Any, stale: str) -> None:
    """Others may have come back to the same digest (A, B, A)."""
    before = await raw(stored)
    for wrong in ("0", ""):
        reply = await run(
            stored, expected={**POSITION, stale: wrong}, events=["x"], rows={"9": "x"}
        )
        assert reply == ["lost", *POSITION.values()]
    assert await raw(stored) == before


@pytest.mark.contract("5.1")
async def test_a_commit_that_is_stored_already_is_not_repeated(stored: Any) -> None:
    """A client that lost the reply sends it again, with the position before it."""
    meta = {name: value for name, value in STORED.items() if name != "offset"}
    meta |= {"origin": "epoch", "count": "2"}  # a value that is the name of a field
    before = await raw(stored)
    expected = {"epoch": "", "sequence": "", "digest": ""}
    for position in (expected, POSITION):
        reply = await run(stored, expected=position, events=["x"], meta=meta)
        assert reply == ["committed", STORED["offset"]]
    assert await raw(stored) == before


@pytest.mark.contract("5.1")
@pytest.mark.parametrize("other", [*POSITION, "committed_at"])
async def test_a_commit_that_differs_in_one_part_is_another(stored: Any, other: str) -> None:
    """It is done if it expects what is stored, and is lost if it does not."""
    meta = {**STORED, other: "other"}
    del meta["offset"]
    before = await raw(stored)
    stale = dict.fromkeys(POSITION, "")
    assert await run(stored, expected=stale, meta=meta) == ["lost", *POSITION.values()]
    assert await raw(stored) == before
    assert await run(stored, events=["second"], meta=meta) == [
        "committed",
        (await offsets(stored))[-1],
    ]
    assert await stored.hget(META, other) == b"other"


@pytest.mark.contract("5.1")
@pytest.mark.parametrize(
    ("key", "wanted"), list(zip(KEYS, ("hash", "hash", "stream", "string"), strict=True))
)
async def test_a_key_of_another_type_is_named(stored: Any, key: str, wanted: str) -> None:
    """Nothing is written."""
    await stored.delete(key)
    await stored.rpush(key, "x")
    before = await raw(stored)
    assert await run(stored, events=["x"]) == ["wrongtype", key, "list", wanted]
    assert await raw(stored) == before


@pytest.mark.contract("3")
async def test_without_events_the_offset_is_the_last_id(stored: Any) -> None:
    """That is the last one that the stream generated, also if its entry was deleted."""
    assert await run(stored) == ["committed", "5-1"]
    await stored.xadd(EVENTS, {"event": "x"}, id="6-3")
    await stored.xdel(EVENTS, "6-3")
    assert await run(stored, expected=NEW, meta={**NEW, "sequence": "9"}) == ["committed", "6-3"]
    await stored.delete(EVENTS)
    assert await run(stored, expected={**NEW, "sequence": "9"}) == ["committed", "0-0"]
    assert await stored.hget(META, "offset") == b"0-0"


@pytest.mark.parametrize("count", [1999, 2000, 2001, 4001])
async def test_many_rows_are_all_written(client: Any, count: int) -> None:
    """Lua passes 4,000 arguments to one command, so some commits need several."""
    names = [str(number) for number in range(count)]
    nothing = dict.fromkeys(POSITION, "")
    await run(client, expected=nothing, rows={name: f"row {name}" for name in names})
    assert await client.hgetall(CATEGORIES) == {
        name.encode(): f"row {name}".encode() for name in names
    }
    await client.hset(CATEGORIES, "left", "x")
    await run(client, expected=NEW, removed=names * 2, meta={**NEW, "sequence": "9"})
    assert await client.hkeys(CATEGORIES) == [b"left"]


@pytest.mark.contract("5.9")
async def test_the_stream_keeps_exactly_the_newest(stored: Any) -> None:
    """No more than `max_events`, the new ones among them."""
    for number in range(1, 5):
        await stored.xadd(EVENTS, {"event": str(number)}, id=f"6-{number}")
    _, last = await run(stored, events=["x"], max_events=3)
    assert await offsets(stored) == ["6-3", "6-4", last]


@pytest.mark.contract("5.9")
async def test_an_event_of_any_age_stays_if_the_limit_is_longer_than_all_time(
    client: Any,
) -> None:
    """Also the one with the lowest possible id."""
    await client.xadd(EVENTS, {"event": "x"}, id="0-1")
    await run(client, expected=dict.fromkeys(POSITION, ""))
    assert await offsets(client) == ["0-1"]


@pytest.mark.contract("5.9")
async def test_the_oldest_event_that_stays_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the millisecond of the server's clock, which is rounded down."""
    monkeypatch.setattr(time, "time", lambda: 1_800_000_000.999_9)
    async with fake_client() as client:
        for milliseconds in (1_799_999_990_998, 1_799_999_990_999, 1_799_999_991_000):
            await client.xadd(EVENTS, {"event": "x"}, id=f"{milliseconds}-1")
        await run(client, expected=dict.fromkeys(POSITION, ""), max_age_ms=10_000)
        assert await offsets(client) == ["1799999990999-1", "1799999991000-1"]


@pytest.mark.contract("5.9")
async def test_events_over_the_age_go_to_the_millisecond(real_client: Any) -> None:
    """By the server's clock."""

    async def is_amid_a_second() -> bool:
        _, microseconds = await real_client.time()
        return 200_000 < int(microseconds) < 600_000

    age, span = 60_000, 3_000
    await eventually(is_amid_a_second)
    begin = await _milliseconds(real_client)
    pipe = real_client.pipeline(transaction=False)
    for moment in range(begin - age - span, begin - age + span):
        pipe.xadd(EVENTS, {"event": "x"}, id=f"{moment}-1")
    await pipe.execute()
    earliest = await _milliseconds(real_client) - age
    await run(real_client, expected=dict.fromkeys(POSITION, ""), max_age_ms=age)
    latest = await _milliseconds(real_client) - age
    oldest = int((await offsets(real_client))[0].partition("-")[0])
    assert earliest <= oldest <= latest


async def _milliseconds(client: Any) -> int:
    seconds, microseconds = await client.time()
    return int(seconds) * 1000 + int(microseconds) // 1000


RIGHTS: Final = [
    *(("TYPE", key) for key in KEYS),
    *(("HMGET", META), ("EXISTS", EVENTS), ("XINFO", EVENTS), ("XADD", EVENTS), ("XTRIM", EVENTS)),
    *(("HSET", CATEGORIES), ("HDEL", CATEGORIES), ("DEL", META), ("HSET", META), ("DEL", HOLD)),
]
"""Each command that a commit sends, with its key."""
CHECKED: Final = {"XADD", "XTRIM", "HSET", "HDEL", "DEL"}
"""Commands that write, so that the script checks them itself, and names them."""

REFUSED: Final = "ACL failure|The user executing the script can't"
"""How the server refuses a command of a script: since Redis 7.2, and before."""


def rules(*missing: tuple[str, str]) -> list[str]:
    """Return the ACL rules of a user who has all RIGHTS but the `missing` ones."""
    given = [right for right in RIGHTS if right not in missing]
    rights = [f"(+{command.lower()} ~{key})" for command, key in given]
    return ["reset", "on", "nopass", "+eval", *(f"~{key}" for key in KEYS), "+time", *rights]


@pytest.fixture(params=["valkey", "oldest_redis"])
def server(request: pytest.FixtureRequest) -> Valkey:
    """Return a real server: fakeredis knows no users."""
    found: Valkey = request.getfixturevalue(request.param)
    return found


async def run_as(server: Valkey, *acl: str, events: Sequence[str]) -> Any:
    """Run a commit as a user with these rules; return the reply or the error.

    And whether all keys are as before.
    """
    async with server.client() as admin, server.client() as user:
        await admin.flushall()
        await store(admin)
        before = await raw(admin)
        execute_on(server, "ACL", "SETUSER", "narrow", *acl)
        try:
            await user.auth("x", "narrow")
            reply: Any = await run(user, events=events, rows={"3": "three"}, removed=["1"])
        except redis.exceptions.ResponseError as error:
            reply = error
        finally:
            execute_on(server, "ACL", "DELUSER", "narrow")
        return reply, await raw(admin) == before


@pytest.mark.contract("5.1")
async def test_the_rights_of_the_list_are_enough(server: Valkey) -> None:
    """With events and without, when the stream's last id is read."""
    for events in (["x"], []):
        reply, is_unchanged = await run_as(server, *rules(), events=events)
        assert (reply[0], is_unchanged) == ("committed", False)


@pytest.mark.contract("5.1")
@pytest.mark.parametrize(("command", "key"), RIGHTS)
async def test_one_missing_right_writes_nothing(server: Valkey, command: str, key: str) -> None:
    """The commit is refused before its first write."""
    error, is_unchanged = await run_as(server, *rules((command, key)), events=[])
    assert is_unchanged
    named = (
        re.escape(f"this user may not run {command} on {key}") if command in CHECKED else REFUSED
    )
    assert re.match(named, str(error))


@pytest.mark.contract("5.1")
async def test_a_missing_right_to_the_time_writes_nothing(server: Valkey) -> None:
    """TIME has no key."""
    error, is_unchanged = await run_as(server, *rules(), "-time", events=["x"])
    assert is_unchanged
    assert re.match(REFUSED, str(error))
