"""The command `category-publisher` (contract, 7): options, output and exit codes, nothing else.

Exit codes: 0 done, 1 failed, 2 wrong command line or configuration, 3 a snapshot is held.
"""

import asyncio
import re
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import orjson
import typer
from rich.console import Console

from plumbing import command
from plumbing.command import CatalogArgument, ConfigOption, UnusedConfigOption, settings_of
from plumbing.config import Settings, check_catalog_name, load
from plumbing.embedded import Stay
from plumbing.errors import ConfigError, Error
from plumbing.server import opened
from plumbing.terminal import harmless
from publisher import event, export, look, poll, record, running, schemas, show
from publisher.app import App, configured, opened_app, opened_session, opened_tokens
from publisher.demo.cli import demo
from publisher.poll import Polled
from publisher.sandbox.cli import sandbox
from publisher.sources.authorize import Authorized, authorize
from publisher.sources.factory import app_of
from publisher.sources.tokens import AUTHORIZE
from publisher.store import Store

HELD = 3
SHOWN_CHANGES = 50
DIGEST = re.compile("[0-9a-f]{16}")

app = typer.Typer(
    name="category-publisher",
    help="Keeps TikTok Shop's category tree in Redis and publishes every change of it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)
app.command()(demo)
app.command()(sandbox)

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
AcceptOption = Annotated[
    bool,
    typer.Option(
        "--accept-origin",
        help="Take over a catalog whose origin (source, locale, category version, …) has changed.",
    ),
]


def main() -> NoReturn:
    """Run the command line and exit."""
    command.main(app)


@app.command()
def run(config: ConfigOption = None) -> None:
    """Run the daemon: poll each catalog at its interval.

    Runs until it is stopped (SIGINT, SIGTERM); then it exits with 0. SIGHUP lets it read its
    configuration again.
    """
    settings = settings_of(config)
    command.run(command.until_stopped_or_reloaded(running.run(settings, lambda: load(config))))


@app.command()
def sync(
    catalogs: Annotated[
        list[str] | None,
        typer.Argument(metavar="CATALOG", help="Catalogs to poll; all, if none is named."),
    ] = None,
    accept_origin: AcceptOption = False,
    config: ConfigOption = None,
) -> None:
    """Poll once and exit, for cron.

    Exit codes: 0 done or unchanged, 1 failed, 3 a snapshot is held; of several catalogs 1 wins.
    """
    settings = settings_of(config)
    if accept_origin and not catalogs:
        raise ConfigError("--accept-origin wants the catalog's name beside it")
    command.run(_sync(settings, configured(settings, catalogs or ()), accept=accept_origin))


async def _sync(settings: Settings, names: list[str], *, accept: bool) -> int:
    async with opened_app(settings, names) as opened_:
        polls = (_polled(opened_, name, accept=accept) for name in names)
        found = await asyncio.gather(*polls)
    codes = [_tell(name, polled) for name, polled in zip(names, found, strict=True)]
    return 1 if 1 in codes else max(codes)


async def _polled(opened_: App, name: str, *, accept: bool) -> Polled | Error:
    try:
        return await record.poll(opened_.catalogs[name], opened_.server, accept_origin=accept)
    except Error as error:
        return error


def _tell(name: str, polled: Polled | Error) -> int:
    """Tell what came of a catalog's poll, and return the exit code that it deserves."""
    if isinstance(polled, Error):
        _complain(name, polled)
        return polled.exit_code
    _warn(name, polled)
    sys.stdout.write(f"{name}: {_told(name, polled)}\n")
    return HELD if polled.outcome == "held" else 0


@app.command()
def diff(
    catalog: CatalogArgument,
    json: JsonOption = False,
    accept_origin: AcceptOption = False,
    config: ConfigOption = None,
) -> None:
    """Show what a poll would publish; write nothing.

    Exit codes: 0 whatever it finds, 3 if it would be held, 1 failed.
    """
    settings = settings_of(config)
    names = configured(settings, [catalog])
    command.run(_diff(settings, names[0], as_json=json, accept=accept_origin))


async def _diff(settings: Settings, name: str, *, as_json: bool, accept: bool) -> int:
    async with opened_app(settings, [name]) as opened_:
        with opened_.server.errors_explained():
            found = await poll.look(opened_.catalogs[name], accept_origin=accept)
    if as_json:
        for change in found.changes:
            told = {"type": f"category.{change.type}", "data": event.data(change)}
            sys.stdout.write(orjson.dumps(told).decode() + "\n")
    else:
        console = Console(highlight=False)
        console.print(show.changes_table(found.changes, SHOWN_CHANGES), soft_wrap=True)
        console.print(f"{name}: {show.counted(found.counts)}")
    for objection in found.objections:
        sys.stderr.write(f"{name}: would be held: {objection}\n")
    return HELD if found.objections else 0


@app.command()
def status(
    json: JsonOption = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it anew every two seconds, until stopped.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Show whether everything is fine: catalogs, polls, size, holds, leases, consumers.

    Exit codes: 0 all is fine, 1 something is not (or Redis cannot be read), 3 a snapshot is held.
    """
    settings = settings_of(config)
    if watch and json:
        raise ConfigError("--watch and --json exclude each other: --watch is for people")
    if watch:
        command.run(command.until_stopped(look.watch(settings)))
    command.run(look.once(settings, as_json=json))


@app.command()
def approve(
    catalog: CatalogArgument,
    digest: Annotated[
        str, typer.Argument(metavar="DIGEST", help="The held snapshot's, as `status` shows it.")
    ],
    config: ConfigOption = None,
) -> None:
    """Publish a snapshot that is held.

    The source is asked again: only if it still gives the snapshot with DIGEST is that published.
    Exit codes: 0 done, 1 nothing is held or failed, 3 the source gives another snapshot now.
    """
    settings = settings_of(config)
    if not DIGEST.fullmatch(digest):
        raise ConfigError(f"digest {digest!r} is not 16 lower-case hex digits, as `status` shows")
    names = configured(settings, [catalog])
    command.run(_approve(settings, names[0], digest))


async def _approve(settings: Settings, name: str, digest: str) -> int:
    async with opened_app(settings, [name]) as opened_:
        try:
            polled = await record.approve(opened_.catalogs[name], opened_.server, digest)
        except Error as error:
            return _tell(name, error)
    _warn(name, polled)
    sys.stdout.write(f"{name}: approved: {_told(name, polled)}\n")
    return 0


@app.command("authorize")
def authorize_(
    code: Annotated[
        str | None,
        typer.Argument(
            metavar="[CODE]",
            help="The authorization code, or the whole address that the seller was sent back to. "
            "Asked for if left out, since a command line is public.",
            show_default=False,
        ),
    ] = None,
    catalog: Annotated[
        str | None,
        typer.Option(
            metavar="CATALOG",
            help="Use what this catalog overrides of [tiktok_shop].",
            show_default=False,
        ),
    ] = None,
    stand_in: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER",
            min=1,
            help="And what its stand-in of this number, counted from 1, overrides of that.",
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Turn a seller's authorization code into tokens.

    The tokens are kept in `data_dir`, or with a token_key in Redis, and the seller's shops are
    listed with their ciphers.
    """
    settings = settings_of(config)
    if stand_in and not catalog:
        raise ConfigError("--stand-in wants --catalog beside it")
    own = (settings.tiktok_shop, AUTHORIZE)
    shop, words = app_of(settings, catalog, stand_in or 0) if catalog else own
    answered = code or typer.prompt("Authorization code", err=True)

    async def exchange() -> int:
        async with opened_session() as session, opened_tokens(settings, shop, words) as store:
            _show_authorized(await authorize(answered, shop, session, store))
        return 0

    command.run(command.until_stopped(exchange()))


@app.command("export")
def export_(
    catalog: CatalogArgument,
    form: Annotated[
        str, typer.Option("--format", metavar="json|csv", help="A list in JSON, or CSV.")
    ] = "json",
    config: ConfigOption = None,
) -> None:
    """Write a catalog's categories to standard output.

    The `file` source reads the JSON back.
    """
    if form not in {"json", "csv"}:
        raise ConfigError(f"--format {form!r}: json and csv are known")
    command.run(_export(settings_of(config), check_catalog_name(catalog), form))


async def _export(settings: Settings, name: str, form: str) -> int:
    async with opened(settings, Stay.BORROW) as server, server.client() as client:
        with server.errors_explained():
            pieces = await export.exported(Store(client, name), form)
    sys.stdout.reconfigure(encoding="utf-8", newline="")  # type: ignore[union-attr]
    sys.stdout.writelines(pieces)
    return 0


@app.command("schemas")
def schemas_(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; 1 if they differ.")
    ] = False,
    folder: Annotated[Path, typer.Option("--dir", metavar="DIR", help="Where they are.")] = Path(
        "schemas"
    ),
    config: UnusedConfigOption = None,
) -> None:
    """Write the JSON Schemas of what is published.

    Of a category, the meta hash and the three events, with examples beside them.
    """
    command.check_named(config)
    try:
        written = schemas.check(folder) if check else schemas.write(folder)
    except OSError as error:
        raise ConfigError(f"{error.filename}: cannot be used: {error.strerror}") from error
    for path in written:
        sys.stdout.write(f"written: {path}\n")


def _told(name: str, polled: Polled) -> str:
    if polled.outcome == "held" and polled.hold is not None:
        return (
            f"held: {'; '.join(polled.hold['reasons'])}. Look at it with `category-publisher diff "
            f"{name}`, then `category-publisher approve {name} {polled.hold['digest']}`"
        )
    place = f"sequence {polled.place.sequence}" if polled.place else "no state"
    if polled.outcome == "unchanged":
        return f"unchanged ({place})"
    return f"{show.counted(polled.counts)} ({place})"


def _warn(name: str, polled: Polled) -> None:
    if polled.repaired:
        sys.stderr.write(f"warning: {name}: the state was damaged; its history begins anew\n")
    if polled.damaged:
        sys.stderr.write(
            f"warning: {name}: the state is damaged, and its repair is held: consumers wait until "
            "it is approved\n"
        )
    for warning in polled.warnings:
        sys.stderr.write(f"warning: {name}: {warning}\n")


def _complain(name: str, error: Error) -> None:
    text = str(error)
    lead = "" if text.startswith(f"catalog {name}:") else f"catalog {name}: "
    sys.stderr.write(f"error: {lead}{text}\n")


def _show_authorized(authorized: Authorized) -> None:
    sys.stdout.write(f"Authorized by {harmless(authorized.seller_name)}; the tokens are kept.\n")
    for shop in authorized.shops:
        about = ", ".join((shop.region, shop.seller_type, f"id {shop.id}", f"code {shop.code}"))
        sys.stdout.write(f"{harmless(f'{shop.name} ({about})')}:\n")
        sys.stdout.write(f'  shop_cipher = "{harmless(shop.cipher)}"\n')
