"""A projection waits while its database is unavailable."""

# ruff: noqa: S608  statements of the tests' own

from typing import Any

from plumbing.redis.server import Server
from tests.conformance.conftest import StoppableDatabase
from tests.conformance.projection_under_test import ProjectionTests, ProjectionUnderTest
from tests.consumers.logged import logged
from tests.consumers.pretend_publisher import PretendPublisher, row, tree
from tests.support.databases import Postgres, execute
from tests.support.waiting import eventually

HOME, GARDEN, TOYS = row("1", "Home"), row("2", "Garden", "1"), row("3", "Toys")


class OutageTests(ProjectionTests):
    """The database becomes unavailable and available again."""

    async def test_database_outage(
        self,
        stoppable: StoppableDatabase,
        real_server: Server,
        publisher: PretendPublisher,
        logs: list[Any],
    ) -> None:
        """The consumer waits, logs it once, and no event is lost or applied twice."""
        subject = ProjectionUnderTest(self, real_server, stoppable.url)
        await publisher.commit(tree(HOME))
        async with subject.following():
            await subject.assert_equal(publisher)
            stoppable.stop()
            await publisher.commit(tree(HOME, GARDEN))
            await eventually(logged(logs, "database unavailable, retrying"))
            await publisher.commit(tree(GARDEN | {"parent_id": "0"}, TOYS))
            stoppable.start_again()
            await subject.assert_equal(publisher)
            await publisher.commit(tree(HOME, TOYS))
            await subject.assert_equal(publisher)
        assert database_events(logs) == ["connection lost", "unavailable", "available again"]
        await self.check(subject.plain_url)

    async def test_database_unavailable_at_the_start(
        self,
        stoppable: StoppableDatabase,
        real_server: Server,
        publisher: PretendPublisher,
        logs: list[Any],
    ) -> None:
        """A consumer that starts before its database waits for it, and logs that once."""
        subject = ProjectionUnderTest(self, real_server, stoppable.url)
        await publisher.commit(tree(HOME))
        stoppable.stop()
        async with subject.following():
            await eventually(logged(logs, "database unavailable, retrying"))
            stoppable.start_again()
            await subject.assert_equal(publisher)
        assert database_events(logs) == ["unavailable", "available again"]
        await self.check(subject.plain_url)

    async def test_database_becomes_a_standby(
        self, postgres: Postgres, real_server: Server, publisher: PretendPublisher, logs: list[Any]
    ) -> None:
        """The consumer also waits for a server that rejects writes, and logs it once."""
        subject = ProjectionUnderTest(self, real_server, await postgres.new())
        await publisher.commit(tree(HOME))
        async with subject.following():
            await subject.assert_equal(publisher)
            await set_read_only(postgres, subject.url, "on")
            await publisher.commit(tree(HOME, GARDEN))
            await eventually(logged(logs, "started", times=4))
            await set_read_only(postgres, subject.url, "off")
            await subject.assert_equal(publisher)
        assert [event for event in database_events(logs) if event == "connection lost"] == [
            "connection lost"
        ]
        await self.check(subject.plain_url)


async def set_read_only(postgres: Postgres, url: str, value: str) -> None:
    """Make the database of `url` reject writes, or not, and close its connections."""
    name, admin = url.rpartition("/")[2], postgres.url(postgres.admin_database)
    await execute(admin, f"ALTER DATABASE {name} SET default_transaction_read_only = {value}")
    await execute(
        admin, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    )


def database_events(logs: list[Any]) -> list[str]:
    """Return what was logged about the database, shortened."""
    events = [log["event"] for log in logs if "database" in log["event"]]
    return [each.removeprefix("database ").partition(",")[0] for each in events]
