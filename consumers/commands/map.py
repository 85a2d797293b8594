"""`category-consumer map …`: links your categories with those of a catalog."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, NoReturn

from typer import Argument, Option

from consumers.commands.follow import follow
from consumers.commands.options import NameOption, OnceOption, ToOption
from consumers.event_output import ignore_closed_stdout
from consumers.mapping import output
from consumers.mapping.csv_table import TextTable, parse_csv
from consumers.mapping.linking import LinkRequest, check_known, read_link_requests
from consumers.mapping.output import Suggestions
from consumers.mapping.own_categories import Columns, read_own_categories
from consumers.mapping.projection import MapProjection
from consumers.mapping.service import MappingService
from consumers.mapping.sql_table import read_table
from consumers.mapping.suggest import MIN_SCORE, LeafIndex
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

app = new_app("Link your own categories with the categories of a catalog.")

STDIN = "-"

KeysArgument = Annotated[list[str], Argument(metavar="KEY…", help="Keys of your own categories.")]
JsonOption = Annotated[bool, Option("--json", help="Print a list in JSON.")]


@app.command("import")
def import_(
    catalog: CatalogArgument,
    to: ToOption,
    file: Annotated[
        str | None,
        Argument(
            metavar="FILE",
            help="CSV in UTF-8 with the header key,name,path (name or path may be missing); "
            "- is standard input.",
        ),
    ] = None,
    table: Annotated[
        str | None,
        Option(
            metavar="NAME", help="Read this table or view of the same database, instead of a file."
        ),
    ] = None,
    key_column: Annotated[str | None, Option(metavar="NAME", help="Default: key.")] = None,
    name_column: Annotated[str | None, Option(metavar="NAME", help="Default: name.")] = None,
    path_column: Annotated[str | None, Option(metavar="NAME", help="Default: path.")] = None,
    separator: Annotated[
        str, Option(metavar="TEXT", help="Separates the names in your paths.")
    ] = SEPARATOR,
    config: UnusedConfigOption = None,
) -> None:
    """Import your own categories, or update their names and paths.

    Categories imported before keep their links, and are kept if they are not in this import.
    """
    _check(catalog, config)
    if (file is None) == (table is None):
        raise ConfigError("map import: give a FILE (- is standard input) or a --table, not both")
    if not separator.strip():
        raise ConfigError("--separator: must not be empty")
    columns = Columns(key_column, name_column, path_column)
    from_file = None if file is None else read_own_categories(_read_csv(file), columns, separator)

    async def work(service: MappingService) -> str:
        own_categories = from_file
        if own_categories is None:
            rows = await read_table(service.database, table or "", columns)
            own_categories = read_own_categories(rows, columns, separator)
        counts = await service.import_categories(own_categories)
        return output.format_import(catalog, table or _name_of(file or ""), counts)

    _run(work, to, catalog, must_exist=from_file is None)


@app.command()
def suggest(
    catalog: CatalogArgument,
    to: ToOption,
    keys: Annotated[
        list[str] | None, Argument(metavar="[KEY…]", help="Default: all that have no link.")
    ] = None,
    limit: Annotated[int, Option(metavar="N", min=1, help="Suggestions for each, at most.")] = 3,
    min_score: Annotated[
        float, Option(metavar="N", min=0, max=100, help="Minimum similarity.")
    ] = MIN_SCORE,
    json: JsonOption = False,
    csv: Annotated[bool, Option("--csv", help="Print CSV that `map link --from` reads.")] = False,
    config: UnusedConfigOption = None,
) -> None:
    """Suggest leaves for your own categories, best first.

    The score is from 0 to 100. A leaf with a very different name is never suggested.
    """
    _check(catalog, config)
    if json and csv:
        raise ConfigError("map suggest: --json or --csv, not both")
    format_found = output.suggestions_to_csv if csv else output.format_suggestions
    format_found = output.suggestions_to_json if json else format_found

    async def work(service: MappingService) -> str:
        snapshot = await service.read_all()
        index = LeafIndex(Tree(snapshot.rows), snapshot.linked_keys)
        check_known(keys or [], snapshot.mappings, "nothing was suggested")
        unlinked = [key for key, each in snapshot.mappings.items() if each.linked is None]
        found = []
        for key in dict.fromkeys(keys or unlinked):
            own = snapshot.mappings[key].own
            found.append(Suggestions(own, index.find_similar(own.name, own.path, limit, min_score)))
            await asyncio.sleep(0)  # lets a stop signal interrupt the loop
        return format_found(found)

    _run(work, to, catalog)


@app.command()
def link(
    catalog: CatalogArgument,
    to: ToOption,
    key: Annotated[str | None, Argument(metavar="KEY", help="Key of your own category.")] = None,
    category_id: Annotated[str | None, Argument(metavar="ID", help="Id of a leaf.")] = None,
    file: Annotated[
        str | None,
        Option(
            "--from",
            metavar="FILE",
            help="Link everything in this CSV with the columns key and category_id, or nothing "
            "if one row is wrong; - is standard input.",
        ),
    ] = None,
    replace: Annotated[
        bool, Option("--replace", help="Replace links with another category, too.")
    ] = False,
    config: UnusedConfigOption = None,
) -> None:
    """Link your own category with a leaf of the catalog.

    Linking it with the same leaf again accepts the leaf as it is now.
    """
    _check(catalog, config)
    if key is not None and category_id is not None and file is None:
        requests = [LinkRequest(key, category_id)]
    elif key is None and category_id is None and file is not None:
        requests = read_link_requests(_read_csv(file))
    else:
        raise ConfigError("map link: give KEY and ID, or --from FILE")

    async def work(service: MappingService) -> str:
        return output.format_links(catalog, await service.link(requests, replace=replace))

    _run(work, to, catalog)


@app.command()
def unlink(
    catalog: CatalogArgument, keys: KeysArgument, to: ToOption, config: UnusedConfigOption = None
) -> None:
    """Remove the links of your own categories."""
    _check(catalog, config)

    async def work(service: MappingService) -> str:
        await service.unlink(keys)
        return f"{catalog}: {len(set(keys))} unlinked\n"

    _run(work, to, catalog)


@app.command()
def remove(
    catalog: CatalogArgument, keys: KeysArgument, to: ToOption, config: UnusedConfigOption = None
) -> None:
    """Delete your own categories and their links."""
    _check(catalog, config)

    async def work(service: MappingService) -> str:
        await service.remove(keys)
        return f"{catalog}: {len(set(keys))} removed\n"

    _run(work, to, catalog)


@app.command()
def review(
    catalog: CatalogArgument,
    to: ToOption,
    json: JsonOption = False,
    config: UnusedConfigOption = None,
) -> None:
    """Show the mappings to review.

    Each with its reason and the time since when. For a broken link other leaves are suggested.
    """
    _check(catalog, config)

    async def work(service: MappingService) -> str:
        snapshot = await service.read_all()
        if json:
            return output.mappings_to_json(output.to_review(snapshot), snapshot)
        return output.format_review(catalog, snapshot)

    _run(work, to, catalog)


@app.command("export")
def export_(
    catalog: CatalogArgument,
    to: ToOption,
    form: Annotated[
        str, Option("--format", metavar="json|csv", help="A list in JSON, or CSV.")
    ] = "json",
    config: UnusedConfigOption = None,
) -> None:
    """Print all mappings."""
    _check(catalog, config)
    formats = {"json": output.mappings_to_json, "csv": output.mappings_to_csv}
    if form not in formats:
        raise ConfigError(f"--format {form!r}: must be json or csv")

    async def work(service: MappingService) -> str:
        snapshot = await service.read_all()
        return formats[form](list(snapshot.mappings.values()), snapshot)

    _run(work, to, catalog)


@app.command()
def watch(
    catalog: CatalogArgument,
    to: ToOption,
    name: NameOption = MapProjection.kind,
    once: OnceOption = False,
    config: ConfigOption = None,
) -> None:
    """Update the mappings when the catalog changes.

    Runs until it is stopped (SIGINT, SIGTERM).

    Exit codes: 0 stopped, or caught up with --once, 1 failed.
    """
    follow(MapProjection, catalog, to, name, config, once=once)


def _check(catalog: str, config: Path | None) -> None:
    check_catalog_name(catalog)
    validate_config_file(config)


def _read_csv(file: str) -> TextTable:
    """Return the table in the CSV `file`, or in standard input.

    Raises ConfigError if it cannot be read, MappingRejected if it is not valid.
    """
    try:
        content = sys.stdin.buffer.read() if file == STDIN else Path(file).read_bytes()
    except OSError as error:
        raise ConfigError(f"{_name_of(file)}: {error.strerror}") from error
    return parse_csv(content, _name_of(file))


def _name_of(file: str) -> str:
    return "standard input" if file == STDIN else file


def _run(
    work: Callable[[MappingService], Awaitable[str]],
    to: str,
    catalog: str,
    *,
    must_exist: bool = True,
) -> NoReturn:
    """Open the database, print the text that `work` returns, and exit."""

    async def main() -> int:
        async with open_database(to, must_exist=must_exist) as database:
            text = await work(MappingService(database, catalog))
        sys.stdout.reconfigure(encoding="utf-8", newline="")  # type: ignore[union-attr]
        with ignore_closed_stdout():
            sys.stdout.write(text)
            sys.stdout.flush()
        return 0

    signals.run(main())
