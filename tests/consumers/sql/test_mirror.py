"""A mirror in SQLite (contract, 5.8 and 8): atomic batches, and one writer."""

import pytest

from consumers.contract.model import Snapshot
from plumbing.redis.server import Server
from tests.consumers.event_histories import BEGIN, small_history
from tests.consumers.mirrors import (
    execute,
    mirror_once,
    open_mirror,
    stored_rows,
    wait_until_equal,
)
from tests.consumers.pretend_publisher import TIME, PretendPublisher, row, tree
from tests.consumers.sql.snapshots import checkpoint_of, snapshot

NOTHING = Snapshot({}, TIME)
HOME, GARDEN = row("1", "Home"), row("2", "Garden", "1")


@pytest.mark.contract("5.8")
async def test_several_events_of_one_category(to: str) -> None:
    """Of several events of one category in a batch, the last one counts."""
    events = small_history()
    async with open_mirror(to) as mirror:
        assert await mirror.load() is None
        await mirror.reset(NOTHING, BEGIN)
        await mirror.apply(events[:3], events[2].checkpoint)
        assert stored_rows(to) == tree(row("2", "Other"), row("1", "Home & Garden"))
        await mirror.apply(events[3:], events[3].checkpoint)
        assert stored_rows(to) == tree(row("2", "Other"))
        assert (await mirror.read())[0] == events[3].checkpoint


async def test_names_of_every_kind(to: str) -> None:
    """Blanks, line ends, quotes and all scripts are stored unchanged."""
    names = [
        " a ",
        "\xa0\n\t",
        "'; DROP TABLE categories; --",
        "家居",
        "🏡👨‍👩‍👧",
        "\u202eabc",
        "\x1b[31m",
    ]
    state = snapshot(*(row(str(index), name) for index, name in enumerate(names, start=1)))
    async with open_mirror(to) as mirror:
        await mirror.load()
        await mirror.reset(state, checkpoint_of(state))
        assert (await mirror.read())[1] == state.rows
        assert await mirror.rows(["2", "4", "99"]) == {id_: state.rows[id_] for id_ in ("2", "4")}
    assert stored_rows(to) == {id_: category._asdict() for id_, category in state.rows.items()}


@pytest.mark.contract("5.8")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE categories SET local_name = 'mine' WHERE id = '2'",
        "DELETE FROM categories",
        "DROP TABLE categories",
        "DELETE FROM checkpoints",
        "UPDATE checkpoints SET digest = 'nonsense'",
        "INSERT INTO categories VALUES ('us', '77', '0', 'mine', 1)",
    ],
)
async def test_a_copy_that_was_changed(
    server: Server, publisher: PretendPublisher, to: str, statement: str
) -> None:
    """A mirror resyncs at its start if something else changed its copy."""
    await publisher.commit(tree(HOME, GARDEN))
    await mirror_once(server, to)
    if statement.startswith("DROP"):
        execute(to, "DROP VIEW category_breadcrumbs")
        execute(to, "DROP VIEW category_paths")
    execute(to, statement)
    await mirror_once(server, to)
    await wait_until_equal(to, publisher)
