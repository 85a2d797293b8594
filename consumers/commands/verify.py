"""`category-consumer verify`."""

import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Annotated, NamedTuple

import orjson
import typer

from consumers.commands.options import ToOption
from consumers.errors import CannotCompare, PositionMismatch
from consumers.following.catalog_client import CatalogClient, open_catalog
from consumers.projection_kinds import KINDS, kept
from consumers.sql.database import Database, open_database
from consumers.sql.projection import VerifiableProjection
from consumers.verify import Verdict, repair_projection, verify_projection
from plumbing import logs
from plumbing.cli import signals
from plumbing.cli.lazy_group import new_app
from plumbing.cli.options import CatalogArgument, ConfigOption, load_common_settings
from plumbing.config.settings import CommonSettings, check_catalog_name
from plumbing.errors import ConfigError, Error

log = logs.logger(__name__)

app = new_app()

EQUAL, DIFFERENT, NOT_COMPARED = 0, 1, 2
"""Exit codes (contract, 7)."""


class Report(NamedTuple):
    """What came out for `projection`; `verdict` is None if it could not be compared.

    `error` says why not, or why it could not be repaired.
    """

    catalog: str
    projection: str
    verdict: Verdict | None
    error: str | None


@app.command()
def verify(
    catalog: CatalogArgument,
    to: ToOption,
    projections: Annotated[
        list[str] | None,
        typer.Option(
            "--projection",
            metavar="|".join(KINDS),
            help="Compare this projection; may be repeated. Default: all in the database.",
            show_default=False,
        ),
    ] = None,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Reset what differs from the state, and compare again.",
            show_default=False,
        ),
    ] = False,
    json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print a JSON object a projection, one a line.", show_default=False
        ),
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Compare what a database keeps of a catalog with Redis.

    A projection that is behind gets some seconds to catch up; what it has of the present state
    is compared, row by row.

    A consumer may run during --repair. It goes on where it stands if that is where the state is,
    else it ends (exit 1) and has to be started again, as a service manager does. In a history a
    repair is a resync, and recorded as one.

    The fields of --json: catalog, projection, outcome (equal, repaired, different, not compared),
    position and categories of the copy, differences (lines of text; of a repaired one those that
    there were), error (null, or why it could not be compared or repaired).

    Exit codes: 0 all are equal, 1 one is different, 2 could not compare.
    """
    check_catalog_name(catalog)
    kinds = dict.fromkeys(projections or [])
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise ConfigError(f"--projection: there is no {unknown[0]!r}, but: {', '.join(KINDS)}")
    settings = load_common_settings(config)
    lines = _json if json else _lines
    try:
        signals.run(_verify(settings, catalog, to, kinds, lines, is_repairing=repair))
    except Error as error:
        raise CannotCompare(str(error)) from error


async def _verify(
    settings: CommonSettings,
    catalog: str,
    to: str,
    kinds: Collection[str],
    lines: Callable[[Report], Iterable[str]],
    *,
    is_repairing: bool,
) -> int:
    codes = set()
    async with (
        open_database(to, must_exist=True) as copy,
        open_catalog(settings, catalog, once=True) as events,
    ):
        for kind in kinds or await _kept(copy, catalog):
            report = await _report(events, KINDS[kind](copy, catalog), is_repairing=is_repairing)
            _show(report, lines(report))
            codes.add(_code(report))
    return min(codes - {EQUAL}, default=EQUAL)


async def _kept(copy: Database, catalog: str) -> list[str]:
    """Return the kinds that `copy` has of `catalog`; CannotCompare if there is none."""
    there = await kept(copy, catalog)
    for kind in there:
        if kind not in KINDS:
            log.info("not compared, it is none of this program", catalog=catalog, projection=kind)
    if known := [kind for kind in KINDS if kind in there]:
        return known
    raise CannotCompare(
        f"{copy.address} has no projection of catalog {catalog}: has one ever been written there?"
    )


async def _report(
    events: CatalogClient, projection: VerifiableProjection, *, is_repairing: bool
) -> Report:
    verdict, told = None, None
    try:
        try:
            verdict = await verify_projection(events, projection)
            found = verdict.differences
        except PositionMismatch as error:
            if not is_repairing:
                raise
            found = [str(error)]
        if is_repairing and found:
            verdict = await repair_projection(events, projection, found)
    except Error as error:
        told = str(error)
    return Report(projection.catalog, projection.kind, verdict, told)


def _code(report: Report) -> int:
    if report.verdict is None:
        return NOT_COMPARED
    return DIFFERENT if report.verdict.outcome == "different" else EQUAL


def _show(report: Report, lines: Iterable[str]) -> None:
    """Write `lines`, and what went wrong to standard error."""
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()
    if report.error is not None:
        sys.stderr.write(f"error: {report.catalog}: {report.projection}: {report.error}\n")


def _lines(report: Report) -> Iterator[str]:
    """Yield a line for the verdict, if there is one, and one for each difference."""
    if report.verdict is not None:
        verdict = report.verdict
        what = f"{verdict.outcome}: {verdict.categories} categories at {verdict.position}"
        yield f"{report.catalog}: {report.projection}: {what}"
        yield from verdict.differences


def _json(report: Report) -> Iterator[str]:
    """Yield the report as one JSON object."""
    verdict = report.verdict
    told = {
        "catalog": report.catalog,
        "projection": report.projection,
        "outcome": verdict.outcome if verdict else "not compared",
        "position": verdict.position if verdict else None,
        "categories": verdict.categories if verdict else None,
        "differences": verdict.differences if verdict else [],
        "error": report.error,
    }
    yield orjson.dumps(told).decode()
