"""A poll and its status: races are repeated, and each result is recorded."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest
import redis.asyncio
import redis.exceptions

from plumbing import clock
from plumbing.errors import RedisError
from plumbing.redis.replies import as_texts
from plumbing.redis.server import Server
from publisher.errors import BadSnapshot, Held, RaceLost, SourceError
from publisher.polling.poll import Catalog, poll_once
from publisher.polling.recorded_poll import approve_and_record, earliest_retry, poll_and_record
from publisher.sources import Answer
from publisher.state.store import Store
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
