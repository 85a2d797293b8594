"""A database that is away is waited for."""

# ruff: noqa: S608  statements of the tests' own

from typing import Any

from plumbing.redis.server import Server
from tests.conformance.conftest import Mortal
from tests.conformance.logs import outage, saying
from tests.conformance.projection_under_test import Kept, Subject
from tests.consumers.pretend_publisher import PretendPublisher, row, tree
from tests.support.databases import Postgres, execute
from tests.support.waiting import eventually

HOME, GARDEN, TOYS = row("1", "Home"), row("2", "Garden", "1"), row("3", "Toys")


class ThroughOutages(Subject):
    """The database goes away and comes back."""

    async def test_a_database_that_goes_away(
        self, mortal: Mortal, real_server: Server, publisher: PretendPublisher, logs: list[Any]
    ) -> None:
        """It is waited for, said once, and nothing is lost or done twice."""
        kept = Kept(self, real_server, mortal.url)
        await publisher.commit(tree(HOME))
        async with kept.following():
            await kept.equal(publisher)
            mortal.go_away()
            await publisher.commit(tree(HOME, GARDEN))
            await eventually(saying(logs, "database unavailable, retrying"))
            await publisher.commit(tree(GARDEN | {"parent_id": "0"}, TOYS))
            mortal.come_back()
            await kept.equal(publisher)
            await publisher.commit(tree(HOME, TOYS))
            await kept.equal(publisher)
        assert outage(logs) == ["connection lost", "unavailable", "available again"]
        await self.check(kept.outside)

    async def test_a_database_that_comes_later(
        self, mortal: Mortal, real_server: Server, publisher: PretendPublisher, logs: list[Any]
    ) -> None:
        """Who starts before its database waits for it, and says so once."""
        kept = Kept(self, real_server, mortal.url)
        await publisher.commit(tree(HOME))
        mortal.go_away()
        async with kept.following():
            await eventually(saying(logs, "database unavailable, retrying"))
            mortal.come_back()
            await kept.equal(publisher)
        assert outage(logs) == ["unavailable", "available again"]
        await self.check(kept.outside)

    async def test_a_database_that_takes_no_writes(
        self, postgres: Postgres, real_server: Server, publisher: PretendPublisher, logs: list[Any]
    ) -> None:
        """A server that answers but became a standby is waited for too, and that is said once."""
        kept = Kept(self, real_server, await postgres.new())
        await publisher.commit(tree(HOME))
        async with kept.following():
            await kept.equal(publisher)
            await set_read_only(postgres, kept.url, "on")
            await publisher.commit(tree(HOME, GARDEN))
            await eventually(saying(logs, "started", times=4))
            await set_read_only(postgres, kept.url, "off")
            await kept.equal(publisher)
        assert [told for told in outage(logs) if told == "connection lost"] == ["connection lost"]
        await self.check(kept.outside)


async def set_read_only(postgres: Postgres, url: str, value: str) -> None:
    """Let the database of `url` refuse writes, or not, and end all connections to it."""
    name, admin = url.rpartition("/")[2], postgres.url(postgres.admin_database)
    await execute(admin, f"ALTER DATABASE {name} SET default_transaction_read_only = {value}")
    await execute(
        admin, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    )
