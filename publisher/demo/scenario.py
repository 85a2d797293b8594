"""The steps of the demo: first import, rounds of changes, proofs of the copy."""

import asyncio
import itertools
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
import orjson
from pydantic import SecretStr
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from plumbing.config.settings import CatalogSettings, Settings, TikTokShopSettings
from plumbing.redis.embedded import open_embedded_server
from plumbing.redis.embedded_mode import EmbeddedMode
from publisher.app import App, open_app
from publisher.core import digest as digests
from publisher.core.model import Change
from publisher.demo.mirror_process import MirrorProcess
from publisher.errors import CopyDiffers
from publisher.polling.poll import PollResult
from publisher.polling.recorded_poll import poll_and_record
from publisher.sandbox import Sandbox, SandboxOptions
from publisher.sources import Answer, Source
from publisher.status.phrases import format_counts
from publisher.status.terminal import changes_table

CATALOG: Final = "demo"
MAX_CHANGES: Final = 24


async def run_demo(
    folder: Path, console: Console, *, rounds: int | None, every: float, seed: int
) -> int:
    """Run the demo on `console`, its files in `folder`; return the exit code.

    `rounds` is None to run until stopped; `every` is in seconds. Raises CopyDiffers.
    """
    data_dir = folder / "data"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    (folder / "publisher.toml").write_text('data_dir = "data"\n', "utf-8")
    async with (
        open_embedded_server(data_dir, EmbeddedMode.KEEP_RUNNING, port=port),
        Sandbox(SandboxOptions(seed=seed)) as sandbox,
        open_app(_settings(sandbox, data_dir), [CATALOG]) as app,
        MirrorProcess(folder, CATALOG).running() as mirror,
    ):
        console.print(f"[bold]Sandbox TikTok Shop API[/]  {sandbox.url}")
        console.print(f"[bold]Valkey (embedded)[/]        redis://127.0.0.1:{port}")
        console.print(f"[bold]SQLite copy[/]              {mirror.file}", soft_wrap=True)
        console.print("Ctrl-C stops it.\n" if rounds is None else "", style="dim")
        scenario = _Scenario(console, app, mirror)
        await scenario.import_tree()
        for number in itertools.count(1) if rounds is None else range(1, rounds + 1):
            await asyncio.sleep(every)
            await scenario.run_round(number)
        if not await mirror.is_verified():
            raise CopyDiffers(
                "`category-consumer verify` says that the copy differs from the state"
            )
        console.print("[green]`category-consumer verify` agrees: the copy equals the state.[/]")
    return 0


def _settings(sandbox: Sandbox, data_dir: Path) -> Settings:
    """Return settings for the sandbox, without any file or variable of the user's."""
    shop = TikTokShopSettings(
        api_url=sandbox.url,
        auth_url=sandbox.url,
        app_key=sandbox.options.app_key,
        app_secret=SecretStr(sandbox.options.app_secret),
        access_token=SecretStr(sandbox.options.access_token),
        refresh_token=SecretStr(sandbox.options.refresh_token),
        token_file=data_dir / "tokens.json",
    )
    catalog = CatalogSettings(
        source="tiktok_shop",
        locale="en-US",
        category_version="v2",
        shop_cipher=sandbox.options.shops[0].cipher,
    )
    return Settings.model_construct(
        redis_url=None, data_dir=data_dir, catalogs={CATALOG: catalog}, tiktok_shop=shop
    )


class _Scenario:
    """Polls the sandbox, and shows what is published and copied."""

    def __init__(self, console: Console, app: App, mirror: MirrorProcess) -> None:
        self._console = console
        self._app = app
        self._catalog = app.catalogs[CATALOG]
        self._mirror = mirror

    async def import_tree(self) -> None:
        """Publish the first tree, with progress bars, and prove its copy."""
        columns = (TextColumn("{task.description:<22}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, console=self._console) as progress:
            steps = ("fetched", "published to Redis", "copied to SQLite")
            fetched, published, copied = (progress.add_task(step, total=None) for step in steps)

            def complete(step: TaskID, count: int) -> None:
                """Fill the bar of `step`, which is done for all `count` categories."""
                for task in progress.task_ids:
                    progress.update(task, total=count)
                progress.update(step, completed=count)

            source = _ObservedSource(self._catalog.source, partial(complete, fetched))
            polled = await poll_and_record(replace(self._catalog, source=source), self._app.server)
            complete(published, polled.counts.added)
            proof = await self._prove_copy(polled)
            complete(copied, polled.counts.added)
        self._console.print(f"{proof}\n")

    async def run_round(self, number: int) -> None:
        """Publish what has changed, show it, and prove its copy."""
        (offset,) = await self._app.client.hmget(self._catalog.store.key("meta"), ["offset"])
        started = time.monotonic()
        polled = await poll_and_record(self._catalog, self._app.server)
        published = time.monotonic()
        proof = await self._prove_copy(polled)
        copied = time.monotonic()
        self._console.print(f"[bold]Round {number}[/]  {format_counts(polled.counts)}")
        changes = await self._changes_after(offset or b"0-0")
        self._console.print(changes_table(changes, MAX_CHANGES), no_wrap=True, overflow="ellipsis")
        self._console.print(
            f"published after {(published - started) * 1000:.0f} ms, copied "
            f"{(copied - published) * 1000:.0f} ms later; {proof}\n"
        )

    async def _prove_copy(self, polled: PollResult) -> str:
        """Wait until the copy has the state's position and digest; return a line about it.

        Raises CopyDiffers.
        """
        if polled.position is None:
            raise CopyDiffers("the publisher has no state")
        await self._mirror.wait_until_at(self._app.client, polled.position)
        wanted, found = digests.text(polled.position.digest), self._mirror.digest()
        if wanted != found:
            raise CopyDiffers(f"the state's digest is {wanted}, the copy's is {found}")
        return f"[green]both digests are {wanted}[/]"

    async def _changes_after(self, offset: Any) -> list[Change]:
        """Return the changes of all events after `offset`, read from the stream."""
        entries: Any = await self._app.client.xrange(
            self._catalog.store.key("events"), min=b"(" + offset
        )
        events = [orjson.loads(fields[b"event"]) for _, fields in entries]
        return [
            msgspec.convert(
                {**event["data"], "type": event["type"].removeprefix("category.")}, Change
            )
            for event in events
        ]


@dataclass(frozen=True)
class _ObservedSource:
    """A source that calls `fetched` with the number of categories in its answer."""

    source: Source
    fetched: Callable[[int], None]

    async def fetch(self) -> Answer:
        answer = await self.source.fetch()
        self.fetched(answer.body.count(b'"local_name"'))
        return answer
