"""A poll and its status: races are repeated, and each result is recorded."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import redis.asyncio
import redis.exceptions

from plumbing import clock
from plumbing.errors import Error, RedisError
from plumbing.redis.replies import as_texts
from plumbing.redis.server import Server
from publisher.core.event import Position
from publisher.core.model import Counts, Hold
from publisher.errors import (
    BadSnapshot,
    Held,
    NoHold,
    OriginChanged,
    RaceLost,
    SourceError,
    TokenError,
    Transient,
    UnknownContract,
    WrongType,
)
from publisher.polling import recorded_poll
from publisher.polling.cache import StateCache
from publisher.polling.poll import Catalog, PollResult, poll_once
from publisher.polling.recorded_poll import approve_and_record, earliest_retry, poll_and_record
from publisher.sources import Answer
from publisher.state.store import Store
from tests.publisher.polling.recorded_shop import (
    KEYS,
    RecordedShop,
    SlowSource,
    Times,
    hold_of,
    text_digest,
)
from tests.support.catalogs import make_catalog
from tests.support.messages import whole
from tests.support.scripted_source import ScriptedSource
from tests.support.trees import tree, wide

SERVER = Server("redis://test")
SMALL = tree(("1", "0"), ("2", "1"))


class RacingSource(ScriptedSource):
    """Another publisher commits another tree during each of the first `races` fetches."""

    def __init__(self, catalog: Catalog, races: int) -> None:
        super().__init__()
        self.set_tree(SMALL)
        self.fetches = 0
        self._races = races
        self._other = ScriptedSource()
        self._catalog = replace(catalog, source=self._other, state_cache=None)

    async def fetch(self) -> Answer:
        """Answer after the other publisher has committed."""
        self.fetches += 1
        if self.fetches <= self._races:
            self._other.set_tree(wide(2 + self.fetches))
            await poll_once(self._catalog)
        return await super().fetch()


async def status_of(client: redis.asyncio.Redis) -> dict[str, str]:
    """Return the status of `us`."""
    found = await client.hgetall("catalog:{us}:status")
    return as_texts(found)


@pytest.mark.contract("7")
async def test_a_lost_race_is_repeated(client: redis.asyncio.Redis, catalog: Catalog) -> None:
    """Three times; then the poll succeeds, and its status does not mention the races."""
    source = RacingSource(catalog, races=3)
    result = await poll_and_record(replace(catalog, source=source), SERVER)
    assert (result.outcome, source.fetches) == ("changed", 4)
    assert (await status_of(client))["outcome"] == "changed"


@pytest.mark.contract("7")
async def test_a_race_lost_four_times_fails(client: redis.asyncio.Redis, catalog: Catalog) -> None:
    """The status names the other publisher as the cause."""
    source = RacingSource(catalog, races=9)
    with pytest.raises(RaceLost):
        await poll_and_record(replace(catalog, source=source), SERVER)
    assert source.fetches == 4
    status = await status_of(client)
    assert status["outcome"] == "failed"
    assert "another publisher" in status["error"]


@pytest.mark.contract("2")
async def test_each_result_is_recorded(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """A held or failed poll keeps the time of the last success."""
    source.set_tree(wide(100))
    await poll_and_record(catalog, SERVER)
    first = await status_of(client)
    assert (first["outcome"], first["added"], first["error"]) == ("changed", "100", "")
    assert first["succeeded_at"] == first["polled_at"] < first["next_poll_at"]
    source.set_tree(wide(50))
    await poll_and_record(catalog, SERVER)
    held = await status_of(client)
    assert (held["outcome"], held["removed"]) == ("held", "50")
    assert held["succeeded_at"] == first["succeeded_at"]
    source.body = b"[]"
    with pytest.raises(BadSnapshot):
        await poll_and_record(catalog, SERVER)
    failed = await status_of(client)
    assert (failed["outcome"], failed["removed"]) == ("failed", "0")
    assert "empty" in failed["error"]
    assert failed["succeeded_at"] == first["succeeded_at"]


@pytest.mark.contract("2")
async def test_a_first_poll_that_fails_has_no_success(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """Every field of the status exists nevertheless."""
    source.body = b"[]"
    with pytest.raises(BadSnapshot):
        await poll_and_record(catalog, SERVER)
    assert (await status_of(client))["succeeded_at"] == ""


@pytest.mark.contract("6")
async def test_an_approval_that_comes_too_late_writes_no_status(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """It writes only the hold."""
    source.set_tree(wide(100))
    await poll_and_record(catalog, SERVER)
    source.set_tree(wide(50))
    hold = (await poll_and_record(catalog, SERVER)).hold
    assert hold is not None
    before = await status_of(client)
    source.set_tree(wide(40))
    with pytest.raises(Held):
        await approve_and_record(catalog, SERVER, hold.digest)
    assert await status_of(client) == before


async def test_a_status_that_cannot_be_written_fails_no_poll(
    client: redis.asyncio.Redis, catalog: Catalog, source: ScriptedSource
) -> None:
    """The caller gets the reason."""

    class WithoutStatus(Store):
        async def write_status(self, status: Mapping[str, str]) -> None:
            raise redis.exceptions.ConnectionError(status["outcome"])

    source.set_tree(SMALL)
    errors: list[RedisError] = []
    broken = replace(catalog, store=WithoutStatus(client, "us"))
    result = await poll_and_record(broken, SERVER, on_unwritten=errors.append)
    assert result.outcome == "changed"
    assert [type(error) for error in errors] == [RedisError]


def test_a_source_may_say_when_to_ask_again() -> None:
    """Before that a poll is pointless; without it a poll may follow at once."""
    now = clock.now()
    assert earliest_retry(now, SourceError("busy", not_before=30.0)) == now + timedelta(seconds=30)
    assert earliest_retry(now, BadSnapshot("empty")) == earliest_retry(now, None) == now


@pytest.fixture
async def shop(
    client: redis.asyncio.Redis, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[RecordedShop]:
    """Give a catalog of 100 categories that has just been published."""
    times = Times()
    monkeypatch.setattr(clock, "now", lambda: times.now)
    monkeypatch.setattr(recorded_poll, "time", times)
    source = SlowSource(times)
    async with aclosing(StateCache()) as cache:
        store = Store(client, "us")
        catalog = make_catalog(store, source, poll_every=timedelta(hours=1), state_cache=cache)
        made = RecordedShop(client, catalog, source, times)
        await made.poll(wide(100))
        yield made


@pytest.mark.contract("2")
async def test_all_fields_after_a_commit(shop: RecordedShop) -> None:
    """The first one, and one that adds, updates and removes."""
    first = await shop.keys()
    epoch = first["meta"]["epoch"]
    assert first == {
        "status": shop.status("changed", (100, 0, 0)),
        "hold": None,
        "meta": await shop.meta(wide(100), epoch, 100),
        "events": 100,
    }
    second = {**wide(99), **tree(("1", "0", "renamed", False), ("101", "1"), ("102", "1"))}
    await shop.poll(second)
    assert await shop.keys() == {
        "status": shop.status("changed", (2, 1, 1)),
        "hold": None,
        "meta": await shop.meta(second, epoch, 104),
        "events": 104,
    }


@pytest.mark.contract("5.4")
async def test_all_fields_after_a_poll_without_changes(shop: RecordedShop) -> None:
    """Only the status is written."""
    before = await shop.keys()
    result = await shop.poll(wide(100))
    assert "containers without children" in result.warnings[0]
    position = Position(before["meta"]["epoch"], 100, int(text_digest(wide(100)), 16))
    assert result == PollResult("unchanged", Counts(), position, result.warnings)
    assert await shop.keys() == {**before, "status": shop.status("unchanged")}


@pytest.mark.contract("6")
async def test_all_fields_while_a_snapshot_is_held(shop: RecordedShop) -> None:
    """The hold has the time of its first poll, until another snapshot is held.

    The last success stays that of the commit.
    """
    before, store = await shop.keys(), shop.catalog.store
    last_success = before["status"]["succeeded_at"]
    since = ""
    for count, is_new in ((50, True), (50, False), (40, True)):
        result = await shop.poll(wide(count))
        since = shop.times.after() if is_new else since
        counts = Counts(0, 0, 100 - count)
        position = Position(before["meta"]["epoch"], 100, int(text_digest(wide(100)), 16))
        warnings = result.warnings
        assert "containers without children" in warnings[0]
        hold = await store.read_hold()
        assert result == PollResult("held", counts, position, warnings, hold=hold)
        assert await shop.keys() == {
            **before,
            "status": shop.status("held", counts, succeeded_at=last_success),
            "hold": hold_of(count, since),
        }


@pytest.mark.contract("6")
@pytest.mark.parametrize("count", [100, 101])
async def test_all_fields_after_a_hold_has_ended(shop: RecordedShop, count: int) -> None:
    """A plausible poll deletes it, with changes or without."""
    before = await shop.keys()
    await shop.poll(wide(50))
    assert (await shop.keys())["hold"] == hold_of(50, shop.times.after())
    await shop.poll(wide(count))
    expected = {**before, "status": shop.status("unchanged")}
    if count > 100:
        meta = await shop.meta(wide(count), before["meta"]["epoch"], count)
        status = shop.status("changed", (1, 0, 0))
        expected = {"status": status, "hold": None, "meta": meta, "events": count}
    assert await shop.keys() == expected


@pytest.mark.contract("2")
@pytest.mark.parametrize(
    ("error", "waits", "took"),
    [
        (SourceError("no answer"), 3600, 1.5),
        (SourceError("busy", not_before=7200), 7200, 1.5),
        (Transient("busy for a moment", not_before=9), 3600, 1.5),
        (TokenError("no token"), 3600, 1.5),
        (BadSnapshot("a cycle"), 3600, 1.5),
        (RedisError("no Redis"), 3600, 1.5),
        (RaceLost("lost four times"), 3600, 6.0),
    ],
    ids=repr,
)
@pytest.mark.parametrize("is_held", [False, True])
async def test_all_fields_after_a_failure(
    shop: RecordedShop, error: Error, waits: float, took: float, *, is_held: bool
) -> None:
    """The status has the error, zeros and the last success; hold and meta stay."""
    if is_held:
        await shop.poll(wide(50))
    before = await shop.keys()
    shop.source.error = error
    with pytest.raises(type(error)) as raised:
        await shop.poll(wide(101))
    assert raised.value is error
    expected = shop.status("failed", took=took, error=str(error)) | {
        "next_poll_at": shop.times.after(seconds=waits - took),
        "succeeded_at": before["status"]["succeeded_at"],
    }
    assert await shop.keys() == {**before, "status": expected}


@pytest.mark.contract("2")
@pytest.mark.parametrize(
    ("key", "field", "kind", "took"),
    [
        ("meta", "contract", UnknownContract, 0.0),
        ("meta", "origin", OriginChanged, 0.0),
        ("categories", None, WrongType, 1.5),
    ],
)
async def test_all_fields_after_a_refusal(
    shop: RecordedShop, key: str, field: str | None, kind: type[Error], took: float
) -> None:
    """A poll that the catalog's keys forbid writes only the status."""
    if field:
        await shop.client.hset(f"{KEYS}{key}", field, "{}")
    else:
        await shop.client.set(f"{KEYS}{key}", "a text")
    before = await shop.keys()
    with pytest.raises(kind) as raised:
        await shop.poll(wide(101))
    success = before["status"]["succeeded_at"]
    status = shop.status("failed", took=took, error=str(raised.value), succeeded_at=success)
    assert await shop.keys() == {**before, "status": status}


@pytest.mark.parametrize("end", [asyncio.CancelledError(), ZeroDivisionError("a bug")], ids=repr)
async def test_a_poll_that_does_not_end_properly_writes_nothing(
    shop: RecordedShop, end: BaseException
) -> None:
    """A cancelled poll, or one that ends in a bug, has no result to record."""
    await shop.poll(wide(50))
    before = await shop.keys()
    shop.source.error = end
    with pytest.raises(type(end)):
        await shop.poll(wide(101))
    assert await shop.keys() == before


@pytest.mark.contract("6")
@pytest.mark.parametrize("first_poll", ["same", "other"])
async def test_all_fields_after_an_approval(shop: RecordedShop, first_poll: str) -> None:
    """The held snapshot is committed, and the status is that of a changed poll."""
    epoch = (await shop.keys())["meta"]["epoch"]
    if first_poll == "other":
        await shop.poll(wide(40))
    await shop.poll(wide(50))
    result = await approve_and_record(shop.catalog, SERVER, text_digest(wide(50)))
    assert (result.outcome, result.counts, result.hold) == ("changed", (0, 0, 50), None)
    assert await shop.keys() == {
        "status": shop.status("changed", (0, 0, 50)),
        "hold": None,
        "meta": await shop.meta(wide(50), epoch, 150),
        "events": 150,
    }


@pytest.mark.contract("6")
@pytest.mark.parametrize(
    ("held", "now", "kind"), [(50, 40, Held), (50, 101, Held), (50, 100, Held), (None, 50, NoHold)]
)
async def test_an_approval_that_is_refused_writes_no_field_but_the_hold(
    shop: RecordedShop, held: int | None, now: int, kind: type[Error]
) -> None:
    """The source returns another snapshot now, plausible or not, or none is held."""
    if held:
        await shop.poll(wide(held))
    before = await shop.keys()
    shop.source.set_tree(wide(now))
    with pytest.raises(kind):
        await approve_and_record(shop.catalog, SERVER, text_digest(wide(held or now)))
    hold = hold_of(now, shop.times.after()) if held and now < 100 else None
    assert await shop.keys() == {**before, "hold": hold}


@pytest.mark.contract("6")
async def test_all_fields_after_an_approval_that_failed(shop: RecordedShop) -> None:
    """The hold stays, and the status has the error and its wait."""
    await shop.poll(wide(50))
    before = await shop.keys()
    shop.source.error = SourceError("busy", not_before=7200)
    with pytest.raises(SourceError):
        await approve_and_record(shop.catalog, SERVER, text_digest(wide(50)))
    status = shop.status("failed", error="busy") | {
        "next_poll_at": shop.times.after(seconds=7200 - 1.5),
        "succeeded_at": before["status"]["succeeded_at"],
    }
    assert await shop.keys() == {**before, "status": status}


@pytest.mark.contract("5.2")
@pytest.mark.parametrize("count", [100, 101])
async def test_all_fields_after_a_repair(shop: RecordedShop, count: int) -> None:
    """A new epoch starts, and the status counts the changes of the damaged rows."""
    before = await shop.keys()
    await shop.client.hset(f"{KEYS}meta", "digest", "damaged")
    result = await shop.poll(wide(count))
    assert result.is_repaired
    found = await shop.keys()
    epoch = found["meta"]["epoch"]
    assert epoch != before["meta"]["epoch"]
    outcome = "changed" if count > 100 else "unchanged"
    assert found == {
        "status": shop.status(outcome, (count - 100, 0, 0)),
        "hold": None,
        "meta": await shop.meta(wide(count), epoch, count - 100),
        "events": count,
    }


@pytest.mark.contract("5.2")
async def test_all_fields_while_a_repair_is_held(shop: RecordedShop) -> None:
    """The damaged meta stays as it is, and the result says so; an approval repairs it."""
    await shop.client.hset(f"{KEYS}meta", "digest", "damaged")
    before = await shop.keys()
    result = await shop.poll(wide(50))
    assert (result.outcome, result.is_damaged, result.position) == ("held", True, None)
    success = before["status"]["succeeded_at"]
    assert await shop.keys() == {
        **before,
        "status": shop.status("held", (0, 0, 50), succeeded_at=success),
        "hold": hold_of(50, shop.times.after()),
    }
    result = await approve_and_record(shop.catalog, SERVER, text_digest(wide(50)))
    found = await shop.keys()
    assert (result.is_repaired, result.is_damaged) == (True, False)
    assert found == {
        "status": shop.status("changed", (0, 0, 50)),
        "hold": None,
        "meta": await shop.meta(wide(50), found["meta"]["epoch"], 50),
        "events": 150,
    }
    assert found["meta"]["epoch"] != before["meta"]["epoch"]


@pytest.mark.parametrize("error", [None, SourceError("busy", not_before=7200)], ids=repr)
async def test_the_daemon_decides_when_the_next_poll_is_due(
    shop: RecordedShop, error: Error | None
) -> None:
    """Its function gets the start of the poll and the error."""
    calls: list[tuple[datetime, Error | None]] = []

    def next_due(started_at: datetime, failure: Error | None) -> datetime:
        calls.append((started_at, failure))
        return started_at + timedelta(minutes=7)

    shop.source.error = error
    with contextlib.suppress(SourceError):
        await shop.poll(wide(100), next_due=next_due)
    started_at = shop.times.now - timedelta(seconds=1.5)
    assert calls == [(started_at, error)]
    status = (await shop.keys())["status"]
    assert status["next_poll_at"] == clock.rfc3339(started_at + timedelta(minutes=7))
    assert status["polled_at"] == clock.rfc3339(started_at)


@pytest.mark.parametrize("error", [None, SourceError("busy"), RedisError("no Redis")], ids=repr)
async def test_a_status_that_cannot_be_written_is_told_once(
    shop: RecordedShop, error: Error | None, logged: Any
) -> None:
    """It is logged if nobody asked for it; a failure of Redis itself says so already."""
    shop.source.error = error
    refusals: list[RedisError] = []
    await shop.client.delete(f"{KEYS}status")
    await shop.client.set(f"{KEYS}status", "a text")
    for on_unwritten in (None, refusals.append):
        with contextlib.suppress(SourceError, RedisError):
            await shop.poll(wide(100), on_unwritten=on_unwritten)
    is_told = not isinstance(error, RedisError)
    assert len(refusals) == is_told
    told = {"event": "status not written", "log_level": "warning", "catalog": "us"}
    assert logged == [told | {"error": str(each)} for each in refusals]


async def test_an_error_of_redis_ends_the_poll_with_its_address(shop: RecordedShop) -> None:
    """The error of redis-py becomes ours, in the status too."""
    shop.source.error = redis.exceptions.ConnectionError("closed")
    with pytest.raises(
        RedisError,
        match=whole("Redis at redis://test: closed (is it running, and is redis_url right?)"),
    ) as raised:
        await shop.poll(wide(100))
    assert (await shop.keys())["status"]["error"] == str(raised.value)


async def test_a_connection_that_the_system_closes_fails_no_poll(shop: RecordedShop) -> None:
    """An OSError while the status is written is an error of Redis too."""

    class WithoutStatus(Store):
        async def write_status(self, status: Mapping[str, str]) -> None:
            raise OSError(status["outcome"])

    errors: list[RedisError] = []
    catalog = replace(shop.catalog, store=WithoutStatus(shop.client, "us"), state_cache=None)
    result = await poll_and_record(catalog, SERVER, on_unwritten=errors.append)
    assert result.outcome == "unchanged"
    assert ["unchanged" in str(error) for error in errors] == [True]


@pytest.mark.contract("6")
async def test_a_hold_is_written_once(shop: RecordedShop) -> None:
    """As long as the same snapshot is held, nothing but the status is written."""

    class WithoutNewHold(Store):
        async def write_hold(self, hold: Hold) -> None:
            raise AssertionError(hold)

    await shop.poll(wide(50))
    store = WithoutNewHold(shop.client, "us")
    shop.catalog = replace(shop.catalog, store=store, state_cache=None)
    assert (await shop.poll(wide(50))).hold == await store.read_hold()


@pytest.mark.contract("5.11")
async def test_all_fields_after_an_accepted_origin(shop: RecordedShop) -> None:
    """The status is that of a poll without changes, and meta has the new origin."""
    before = await shop.keys()
    shop.catalog = replace(shop.catalog, origin=replace(shop.catalog.origin, locale="de-DE"))
    await shop.poll(wide(100), accept_origin=True)
    meta = await shop.meta(wide(100), before["meta"]["epoch"], 100)
    assert await shop.keys() == {**before, "status": shop.status("unchanged"), "meta": meta}


@pytest.mark.contract("2")
@pytest.mark.parametrize("is_approval", [False, True])
async def test_each_poll_adds_the_catalogs_name(shop: RecordedShop, *, is_approval: bool) -> None:
    """A name that somebody removed from the set comes back, with an approval too."""
    await shop.poll(wide(50))
    await shop.client.delete("catalogs")
    if is_approval:
        await approve_and_record(shop.catalog, SERVER, text_digest(wide(50)))
    else:
        await shop.poll(wide(50))
    assert await shop.client.smembers("catalogs") == {b"us"}
