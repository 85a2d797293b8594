"""Each documented error (TikTok Shop API, Errors) and bad snapshot, end to end."""

import re
from pathlib import Path

import pytest
import redis.asyncio

from plumbing.errors import Error
from publisher.polling.recorded_poll import poll_and_record
from publisher.sandbox import Fault, Sandbox, SandboxOptions
from publisher.status.overview import read_statuses
from tests.end_to_end.sandbox_publisher import open_publisher
from tests.support.raw_keys import check_consistent, read_keys
from tests.support.valkey import Valkey

ERRORS = [
    # a fault of the sandbox, and a part of the message
    ("code=106001", "APP_SECRET"),
    ("code=106013", "set shop_cipher in [catalogs.us]"),
    ("code=101000", "does not fit the shop"),
    ("code=105005", "scope missing"),
    ("code=36009033", "IP allow list"),
    ("code=12052217", 'set category_version = "v2" in [catalogs.us]'),
    ("code=36009014", "install a newer category-publisher"),
    ("code=36009043", "the shop is inactive"),
    ("code=36009044", "the seller is inactive"),
    ("code=36009037", "hourly limit"),
    ("code=36009002", "too many requests"),
    ("code=36009003", "internal error"),
    ("code=36009007", "time-out at TikTok Shop"),
    ("code=36009004", "request refused"),
    ("code=105002", "access token"),
    ("code=99999999", "99999999"),
    ("http=503", "503"),
    ("http=404", "404"),
    ("http=302", "302"),
    ("cut", "the answer was cut off"),
    ("truncate", "127.0.0.1"),
    ("bomb=80", "max_body_bytes"),
    ("empty", "the list of categories is empty"),
    ("null-data", "no list `data.categories`"),
    ("orphan", "a branch is missing"),
    ("next-page", "next_page_token"),
]

TRANSIENT = [
    "code=36009003@2",
    "code=36009007@2",
    "http=502@2",
    "cut@2",
    "truncate@2",
    "code=105002@2",
]


@pytest.mark.contract("6")
@pytest.mark.contract("5.10")
@pytest.mark.parametrize(("fault", "message"), ERRORS)
async def test_an_error_changes_the_status_only(
    fault: str, message: str, valkey: Valkey, real_client: redis.asyncio.Redis, folder: Path
) -> None:
    """The status has the reason, nothing else is written; the next poll succeeds."""
    options = SandboxOptions(categories=300, faults=(Fault.parse(f"{fault}@2-"),))
    async with Sandbox(options) as sandbox, open_publisher(sandbox, valkey, folder) as app:
        catalog = app.catalogs["us"]
        await poll_and_record(catalog, app.server)
        before = await read_keys(real_client)
        with pytest.raises(Error, match=re.escape(message)) as caught:
            await poll_and_record(catalog, app.server)
        assert await read_keys(real_client) == before
        status = (await read_statuses(app.client, ["us"]))["us"]
        assert (status["outcome"], status["error"]) == ("failed", str(caught.value))
        assert sandbox.options.app_secret not in str(caught.value)
        sandbox.api.faults = []
        assert (await poll_and_record(catalog, app.server)).outcome == "changed"
        check_consistent(await read_keys(real_client))


@pytest.mark.parametrize("fault", TRANSIENT)
async def test_a_transient_error_is_retried_within_the_poll(
    fault: str, valkey: Valkey, real_client: redis.asyncio.Redis, folder: Path
) -> None:
    """The source is asked again, with another token if needed, and the poll succeeds."""
    options = SandboxOptions(categories=300, faults=(Fault.parse(fault),))
    async with Sandbox(options) as sandbox, open_publisher(sandbox, valkey, folder) as app:
        await poll_and_record(app.catalogs["us"], app.server)
        assert (await poll_and_record(app.catalogs["us"], app.server)).outcome == "changed"
        check_consistent(await read_keys(real_client))


@pytest.mark.contract("6")
async def test_a_missing_branch_is_held(
    valkey: Valkey, real_client: redis.asyncio.Redis, folder: Path
) -> None:
    """A list that lacks a branch, but is a valid tree, changes nothing."""
    options = SandboxOptions(categories=2_700, faults=(Fault.parse("branch@2"),))
    async with Sandbox(options) as sandbox, open_publisher(sandbox, valkey, folder) as app:
        await poll_and_record(app.catalogs["us"], app.server)
        before = await read_keys(real_client)
        assert (await poll_and_record(app.catalogs["us"], app.server)).outcome == "held"
        assert await read_keys(real_client) == before
        assert (await poll_and_record(app.catalogs["us"], app.server)).outcome == "changed"
        assert await app.catalogs["us"].store.read_hold() is None
