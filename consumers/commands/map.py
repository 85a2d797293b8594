"""`category-consumer map …`: the user's own categories, linked with those of a catalog."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer

from consumers.commands.follow import follow
from consumers.commands.options import NAME_HELP, OnceOption, ToOption
from consumers.event_output import ignore_closed_stdout
from consumers.mapping import csv_table as sheet
from consumers.mapping import output as show
from consumers.mapping import own_categories as own
from consumers.mapping.csv_table import Sheet
from consumers.mapping.linking import Wish, check_known, wishes_of
from consumers.mapping.model import Mappings
from consumers.mapping.output import Suggestion
from consumers.mapping.own_categories import Columns
from consumers.mapping.projection import MapProjection
from consumers.mapping.service import Desk
from consumers.mapping.sql_table import read_table
from consumers.mapping.suggest import MIN_SCORE, Leaves
from consumers.mapping.tree import SEPARATOR, Tree
from consumers.sql.database import open_database
from plumbing.cli import signals
from plumbing.cli.lazy_group import new_app
from plumbing.cli.options import (
    CatalogArgument,
    ConfigOption,
    UnusedConfigOption,
    validate_config_file,
)
from plumbing.config.settings import check_catalog_name
from plumbing.errors import ConfigError

app = new_app("Link your own categories with a catalog's.")

STDIN = "-"

KeysArgument = Annotated[
    list[str], typer.Argument(metavar="KEY…", help="Keys of own categories.", show_default=False)
]


@app.command("import")
def import_(
    catalog: CatalogArgument,
    to: ToOption,
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE",
            help="CSV in UTF-8 with the header key,name,path (one of the two suffices); "
            "- is standard input.",
            show_default=False,
        ),
    ] = None,
    table: Annotated[
        str | None,
        typer.Option(
            "--table",
            metavar="NAME",
            help="Read this table or view of the same database, instead of a file.",
            show_default=False,
        ),
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key-column", metavar="NAME", help="Default: key.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name-column", metavar="NAME", help="Default: name.")
    ] = None,
    path: Annotated[
        str | None, typer.Option("--path-column", metavar="NAME", help="Default: path.")
    ] = None,
    separator: Annotated[
        str, typer.Option("--separator", metavar="TEXT", help="Between the names of a path.")
    ] = SEPARATOR,
    config: UnusedConfigOption = None,
) -> None:
    """Import your own categories, or their new names.

    What was imported before keeps its link, and stays if it is not there any more.
    """
    _check(catalog, config)
    if (file is None) == (table is None):
        raise ConfigError("map import: name a FILE (- is standard input) or a --table, not both")
    if not separator.strip():
        raise ConfigError("--separator: a path's separator is not empty")
    columns = Columns(key, name, path)
    given = own.own_categories(_sheet(file), columns, separator) if file is not None else None

    async def work() -> int:
        async with open_database(to, must_exist=given is None) as store:
            owns = given
            if owns is None:
                found = await read_table(store, table or "", columns)
                owns = own.own_categories(found, columns, separator)
            counts = await Desk(store, catalog).bring(owns)
        _print(show.imported(catalog, table or _name(file or ""), counts))
        return 0

    signals.run(work())


@app.command()
def suggest(
    catalog: CatalogArgument,
    to: ToOption,
    keys: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY…]", help="Default: all that are not linked."),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, help="Suggestions for each.")
    ] = 3,
    min_score: Annotated[
        float, typer.Option("--min-score", metavar="N", min=0, max=100, help="How similar.")
    ] = MIN_SCORE,
    json: Annotated[bool, typer.Option("--json", help="Print a list in JSON.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print what link --from reads.")] = False,
    config: UnusedConfigOption = None,
) -> None:
    """Suggest leaves for your own categories, best first.

    The score is from 0 to 100. A leaf whose name has little in common is never suggested.
    """
    _check(catalog, config)
    if json and csv:
        raise ConfigError("map suggest: --json or --csv, not both")
    form = show.suggestions_json if json else show.suggestions_csv if csv else show.suggestions

    async def work() -> int:
        async with _desk(to, catalog) as desk:
            atlas = await desk.look()
        leaves = Leaves(Tree(atlas.rows), atlas.linked)
        some = _chosen(atlas.mappings, keys or [])
        found = []
        for each in some.values():
            similar = leaves.similar(each.own.name, each.own.path, limit, min_score)
            found.append(Suggestion(each, similar))
            await asyncio.sleep(0)  # a stop signal is heard here
        _print(form(found))
        return 0

    signals.run(work())


def _chosen(mappings: Mappings, keys: Sequence[str]) -> Mappings:
    check_known(keys, mappings, "nothing was suggested")
    if keys:
        return {key: mappings[key] for key in keys}
    return {key: each for key, each in mappings.items() if each.decision is None}


@app.command()
def link(
    catalog: CatalogArgument,
    to: ToOption,
    key: Annotated[
        str | None,
        typer.Argument(metavar="KEY", help="Key of an own category.", show_default=False),
    ] = None,
    category_id: Annotated[
        str | None, typer.Argument(metavar="ID", help="Id of a leaf.", show_default=False)
    ] = None,
    file: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="Link all of this CSV, columns key and category_id, or none; - is standard input.",
            show_default=False,
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Also those that are linked with another.")
    ] = False,
    config: UnusedConfigOption = None,
) -> None:
    """Link an own category with a leaf.

    Linking it again with the same one accepts that as it is now.
    """
    _check(catalog, config)
    if (key is None) == (file is None) or (category_id is None) != (key is None):
        raise ConfigError("map link: give KEY and ID, or --from FILE")

    wishes = [Wish(key or "", category_id or "")] if file is None else wishes_of(_sheet(file))

    async def work() -> int:
        async with _desk(to, catalog) as desk:
            made = await desk.link(wishes, replace=replace)
        _print(show.linked(catalog, made))
        return 0

    signals.run(work())


@app.command()
def unlink(
    catalog: CatalogArgument, keys: KeysArgument, to: ToOption, config: UnusedConfigOption = None
) -> None:
    """Take the links of own categories away."""
    _check(catalog, config)

    async def work() -> int:
        async with _desk(to, catalog) as desk:
            await desk.unlink(keys)
        _print(f"{catalog}: {len(set(keys))} unlinked\n")
        return 0

    signals.run(work())


@app.command()
def remove(
    catalog: CatalogArgument, keys: KeysArgument, to: ToOption, config: UnusedConfigOption = None
) -> None:
    """Forget own categories, and their links."""
    _check(catalog, config)

    async def work() -> int:
        async with _desk(to, catalog) as desk:
            await desk.remove(keys)
        _print(f"{catalog}: {len(set(keys))} removed\n")
        return 0

    signals.run(work())


@app.command()
def review(
    catalog: CatalogArgument,
    to: ToOption,
    json: Annotated[bool, typer.Option("--json", help="Print a list in JSON.")] = False,
    config: UnusedConfigOption = None,
) -> None:
    """Show which links need a look, and why.

    And since when, and what else could be linked.
    """
    _check(catalog, config)

    async def work() -> int:
        async with _desk(to, catalog) as desk:
            atlas = await desk.look()
        shown = show.export_json(show.to_review(atlas), atlas) if json else None
        _print(shown or show.review(catalog, atlas))
        return 0

    signals.run(work())


@app.command("export")
def export_(
    catalog: CatalogArgument,
    to: ToOption,
    form: Annotated[
        str, typer.Option("--format", metavar="json|csv", help="A list in JSON, or CSV.")
    ] = "json",
    config: UnusedConfigOption = None,
) -> None:
    """Write all mappings to standard output."""
    _check(catalog, config)
    forms = {"json": show.export_json, "csv": show.export_csv}
    if form not in forms:
        raise ConfigError(f"--format {form!r}: json and csv are known")

    async def work() -> int:
        async with _desk(to, catalog) as desk:
            atlas = await desk.look()
        _print(forms[form](list(atlas.mappings.values()), atlas))
        return 0

    signals.run(work())


@app.command()
def watch(
    catalog: CatalogArgument,
    to: ToOption,
    name: Annotated[str, typer.Option("--name", help=NAME_HELP)] = MapProjection.kind,
    once: OnceOption = False,
    config: ConfigOption = None,
) -> None:
    """Keep the mappings' states in step with a catalog.

    Runs until it is stopped (SIGINT, SIGTERM); then it exits with 0.
    """
    follow(MapProjection, catalog, to, name, config, once=once)


def _check(catalog: str, config: Path | None) -> None:
    check_catalog_name(catalog)
    validate_config_file(config)


@asynccontextmanager
async def _desk(to: str, catalog: str) -> AsyncIterator[Desk]:
    async with open_database(to, must_exist=True) as store:
        yield Desk(store, catalog)


def _sheet(file: str) -> Sheet:
    """Read the CSV `file`, or standard input."""
    try:
        content = sys.stdin.buffer.read() if file == STDIN else Path(file).read_bytes()
    except OSError as error:
        raise ConfigError(f"{_name(file)}: {error.strerror}") from error
    return sheet.parse(content, _name(file))


def _name(file: str) -> str:
    return "standard input" if file == STDIN else file


def _print(text: str) -> None:
    sys.stdout.reconfigure(encoding="utf-8", newline="")  # type: ignore[union-attr]
    with ignore_closed_stdout():
        sys.stdout.write(text)
        sys.stdout.flush()
