"""What the demo does, in order: first import, rounds of changes, and the proof after each."""

import asyncio
import itertools
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import orjson
from pydantic import SecretStr
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from plumbing.config.settings import CatalogSettings, Settings, TikTokShopSettings
from plumbing.redis import embedded
from plumbing.redis.embedded_mode import EmbeddedMode
from publisher.app import App, open_app
from publisher.core import digest as digests
from publisher.core.model import Category, Change
from publisher.demo.mirror_process import MirrorProcess
from publisher.errors import CopyDiffers
from publisher.polling.poll import PollResult
from publisher.polling.recorded_poll import poll_and_record
from publisher.sandbox import Sandbox, SandboxOptions
from publisher.sources import Answer, Source
from publisher.status import terminal as show
from publisher.status.phrases import format_counts

CATALOG: Final = "demo"
SHOWN_CHANGES: Final = 24


@dataclass(frozen=True)
class DemoOptions:
    """The demo's folder and options; `rounds` None means until stopped."""

    folder: Path
    rounds: int | None
    every: float
    seed: int


async def run_demo(options: DemoOptions, console: Console) -> int:
    """Run the demo on `console`. Returns 0 if the copy equals the state; raises CopyDiffers."""
    data_dir = options.folder / "data"
    port = _free_port()
    async with (
        embedded.open_embedded_server(data_dir, EmbeddedMode.KEEP_RUNNING, port=port),
        Sandbox(SandboxOptions(seed=options.seed)) as sandbox,
        open_app(_settings(sandbox, data_dir), [CATALOG]) as app,
        _consumer(options.folder) as copy,
    ):
        _introduce(console, sandbox, port, copy, endless=options.rounds is None)
        await _first_import(console, app, copy)
        await _live(console, options, app, copy)
        return await _conclude(console, copy)


@asynccontextmanager
async def _consumer(folder: Path) -> AsyncIterator[MirrorProcess]:
    (folder / "publisher.toml").write_text('data_dir = "data"\n', "utf-8")
    async with MirrorProcess(folder, CATALOG).kept() as copy:
        yield copy


def _settings(sandbox: Sandbox, data_dir: Path) -> Settings:
    """Return settings for the sandbox; made here, so that no variable of the user gets in."""
    shop = TikTokShopSettings(
        api_url=sandbox.url,
        auth_url=sandbox.url,
        app_key=sandbox.app_key,
        app_secret=SecretStr(sandbox.app_secret),
        access_token=SecretStr(sandbox.access_token),
        refresh_token=SecretStr(sandbox.refresh_token),
        token_file=data_dir / "tokens.json",
    )
    catalog = CatalogSettings(
        source="tiktok_shop",
        locale="en-US",
        category_version="v2",
        shop_cipher=sandbox.shop_cipher,
    )
    return Settings.model_construct(
        redis_url=None, data_dir=data_dir, catalogs={CATALOG: catalog}, tiktok_shop=shop
    )


def _introduce(
    console: Console, sandbox: Sandbox, port: int, copy: MirrorProcess, *, endless: bool
) -> None:
    console.print(f"[bold]Sandbox TikTok Shop API[/]  {sandbox.url}")
    console.print(f"[bold]Valkey (embedded)[/]        redis://127.0.0.1:{port}")
    console.print(f"[bold]SQLite copy[/]              {copy.file}", soft_wrap=True)
    console.print("Ctrl-C ends it.\n" if endless else "", style="dim")


async def _first_import(console: Console, app: App, copy: MirrorProcess) -> None:
    catalog = app.catalogs[CATALOG]
    columns = (TextColumn("{task.description:<22}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console) as progress:
        steps = _Steps(progress, ["fetched", "published to Redis", "copied to SQLite"])
        watched = replace(catalog, source=_Watched(catalog.source, steps))
        polled = await poll_and_record(watched, app.server)
        steps.done("published to Redis", polled.counts.added)
        await _proven(app, copy, polled)
        steps.done("copied to SQLite", polled.counts.added)
    console.print(f"{_proof(polled)}\n")


async def _live(console: Console, options: DemoOptions, app: App, copy: MirrorProcess) -> None:
    rounds = itertools.count(1) if options.rounds is None else range(1, options.rounds + 1)
    for number in rounds:
        await asyncio.sleep(options.every)
        before = await _offset(app)
        begin = time.monotonic()
        polled = await poll_and_record(app.catalogs[CATALOG], app.server)
        published = time.monotonic()
        await _proven(app, copy, polled)
        copied = time.monotonic()
        console.print(f"[bold]Round {number}[/]  {format_counts(polled.counts)}")
        changes = [_change(event) async for event in _events(app, before)]
        console.print(show.changes_table(changes, SHOWN_CHANGES), no_wrap=True, overflow="ellipsis")
        console.print(
            f"published after {(published - begin) * 1000:.0f} ms, copied "
            f"{(copied - published) * 1000:.0f} ms later; {_proof(polled)}\n"
        )


async def _conclude(console: Console, copy: MirrorProcess) -> int:
    if not await copy.verified():
        raise CopyDiffers("`category-consumer verify` says that the copy differs from the state")
    console.print("[green]`category-consumer verify` agrees: the copy equals the state.[/]")
    return 0


async def _proven(app: App, copy: MirrorProcess, polled: PollResult) -> None:
    """Return when the copy is at the poll's place and has its digest. Raises CopyDiffers."""
    if polled.position is None:
        raise CopyDiffers("the publisher has no state")
    await copy.caught_up(app.client, polled.position)
    wanted, found = digests.text(polled.position.digest), copy.digest()
    if wanted != found:
        raise CopyDiffers(f"the state's digest is {wanted}, the copy's is {found}")


def _proof(polled: PollResult) -> str:
    digest = digests.text(polled.position.digest) if polled.position else ""
    return f"[green]both digests are {digest}[/]"


async def _offset(app: App) -> Any:
    key = app.catalogs[CATALOG].store.key("meta")
    return (await app.client.hmget(key, ["offset"]))[0] or b"0-0"


async def _events(app: App, after: Any) -> AsyncIterator[dict[str, Any]]:
    key = app.catalogs[CATALOG].store.key("events")
    entries: Any = await app.client.xrange(key, min=b"(" + after)
    for _, fields in entries:
        yield orjson.loads(fields[b"event"])


def _change(event: dict[str, Any]) -> Change:
    data = event["data"]
    before = Category(**data["before"]) if "before" in data else None
    kind = event["type"].removeprefix("category.")
    return Change(kind, Category(**data["category"]), before)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class _Steps:
    """The progress bars of the first import."""

    def __init__(self, progress: Progress, names: list[str]) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {
            name: progress.add_task(name, total=None) for name in names
        }

    def done(self, name: str, count: int) -> None:
        """Tell that step `name` is done for all `count` categories."""
        for task in self._tasks.values():
            self._progress.update(task, total=count)
        self._progress.update(self._tasks[name], completed=count)


class _Watched:
    """A source that tells the progress when its answer is there."""

    def __init__(self, source: Source, steps: _Steps) -> None:
        self._source = source
        self._steps = steps

    async def fetch(self) -> Answer:
        answer = await self._source.fetch()
        self._steps.done("fetched", answer.body.count(b'"local_name"'))
        return answer
