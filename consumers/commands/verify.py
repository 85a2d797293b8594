"""`category-consumer verify`: compares a database with the state."""

import sys
from collections.abc import Iterator
from typing import Annotated, NamedTuple

import orjson
from typer import Option

from consumers.commands.options import ToOption
from consumers.errors import CannotCompare, PositionMismatch
from consumers.following.catalog_client import CatalogClient, open_catalog
from consumers.projection_kinds import KINDS, stored_kinds
from consumers.sql.database import Database, open_database
from consumers.sql.projection import VerifiableProjection
from consumers.verify import Verdict, repair_projection, verify_projection
from plumbing import logs
from plumbing.cli import signals
from plumbing.cli.lazy_group import new_app
from plumbing.cli.options import CatalogArgument, ConfigOption, load_common_settings
from plumbing.config.settings import check_catalog_name
from plumbing.errors import ConfigError, Error

log = logs.logger(__name__)

app = new_app()

EQUAL, DIFFERENT, NOT_COMPARED = 0, 1, 2
"""Exit codes (contract, 7)."""


class VerifyReport(NamedTuple):
    """The result for one projection; `verdict` is None if it could not be compared.

    `error` says why it could not be compared, or not be repaired.
    """

    catalog: str
    projection: str
    verdict: Verdict | None
    error: str | None

    @property
    def exit_code(self) -> int:
        """EQUAL, DIFFERENT or NOT_COMPARED."""
        if self.verdict is None:
            return NOT_COMPARED
        return DIFFERENT if self.verdict.outcome == "different" else EQUAL

    def lines(self) -> Iterator[str]:
        """Yield a line for the verdict, if there is one, and one for each difference."""
        if verdict := self.verdict:
            what = f"{verdict.outcome}: {verdict.categories} categories at {verdict.position}"
            yield f"{self.catalog}: {self.projection}: {what}"
            yield from verdict.differences

    def json(self) -> Iterator[str]:
        """Yield the report as one JSON object."""
        verdict = self.verdict
        document = {
            "catalog": self.catalog,
            "projection": self.projection,
            "outcome": verdict.outcome if verdict else "not compared",
            "position": verdict.position if verdict else None,
            "categories": verdict.categories if verdict else None,
            "differences": verdict.differences if verdict else [],
            "error": self.error,
        }
        yield orjson.dumps(document).decode()


@app.command()
def verify(
    catalog: CatalogArgument,
    to: ToOption,
    projections: Annotated[
        list[str] | None,
        Option(
            "--projection",
            metavar="|".join(KINDS),
            help="Compare this projection; may be repeated. Default: all in the database.",
        ),
    ] = None,
    repair: Annotated[
        bool,
        Option("--repair", help="Rebuild different projections from the state, and compare again."),
    ] = False,
    json: Annotated[
        bool, Option("--json", help="Print one JSON object per projection, each on a line.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Compare a catalog's rows in a database with its state in Redis.

    A projection that lags gets 10 seconds to catch up; then its rows are compared with the
    state, one by one.

    A consumer may run during --repair. If it is at the state's position, it is not disturbed. If
    it is not, it ends with exit code 1 and must be started again, as a service manager does. In a
    history a repair is recorded as a resync.

    The fields of --json: catalog, projection, outcome (equal, repaired, different, not compared),
    position and categories of the copy, differences (lines of text; after a repair those that
    were repaired), error (null, or why it could not be compared or repaired).

    Exit codes: 0 all are equal, 1 one is different, 2 one could not be compared; 1 wins over 2.
    """
    check_catalog_name(catalog)
    kinds = dict.fromkeys(projections or [])
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise ConfigError(f"--projection: {unknown[0]!r} is unknown; known: {', '.join(KINDS)}")
    settings = load_common_settings(config)

    async def work() -> int:
        codes = set()
        async with (
            open_database(to, must_exist=True) as database,
            open_catalog(settings, catalog, once=True) as client,
        ):
            for kind in kinds or await _known_kinds(database, catalog):
                report = await _verify(client, KINDS[kind](database, catalog), is_repairing=repair)
                lines = report.json() if json else report.lines()
                sys.stdout.writelines(f"{line}\n" for line in lines)
                sys.stdout.flush()
                if report.error is not None:
                    sys.stderr.write(f"error: {catalog}: {kind}: {report.error}\n")
                codes.add(report.exit_code)
        return min(codes - {EQUAL}, default=EQUAL)

    try:
        signals.run(work())
    except Error as error:
        raise CannotCompare(str(error)) from error


async def _known_kinds(database: Database, catalog: str) -> list[str]:
    """Return the kinds that `database` has of `catalog`; CannotCompare if none."""
    stored = await stored_kinds(database, catalog)
    for kind in sorted(set(stored) - KINDS.keys()):
        log.info("projection unknown, not compared", catalog=catalog, projection=kind)
    if known := [kind for kind in KINDS if kind in stored]:
        return known
    raise CannotCompare(
        f"{database.address} has no projection of catalog {catalog}: was one ever written there?"
    )


async def _verify(
    client: CatalogClient, projection: VerifiableProjection, *, is_repairing: bool
) -> VerifyReport:
    """Compare `projection`, repair it if asked to, and report the result or the error."""
    verdict, text = None, None
    try:
        try:
            verdict = await verify_projection(client, projection)
            found = verdict.differences
        except PositionMismatch as error:
            if not is_repairing:
                raise
            found = [str(error)]
        if is_repairing and found:
            verdict = await repair_projection(client, projection, found)
    except Error as error:
        text = str(error)
    return VerifyReport(projection.catalog, projection.kind, verdict, text)
