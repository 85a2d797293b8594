"""`category-publisher sandbox`."""

from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from plumbing.cli import signals
from plumbing.cli.lazy_group import new_app
from plumbing.cli.options import UnusedConfigOption, validate_config_file
from publisher.sandbox.errors import BadOption
from publisher.sandbox.faults import KINDS, Fault
from publisher.sandbox.options import SandboxOptions
from publisher.sandbox.server import serve
from publisher.sandbox.tree import read_tree

app = new_app()

PORT: Final = 8765
STATUSES: Final[dict[str, Literal[200, 401]]] = {"200": 200, "401": 401}
FAULT_HELP: Final = "\n\n".join(
    (
        "Answer wrongly, on purpose, where SPEC is KIND or KIND=VALUE.",
        "After it may come @3, @2-4 or @5-: the requests for categories that are meant, from 1.",
        "May be repeated. Kinds:",
        *(f"{name}{kind.help}" for name, kind in KINDS.items()),
    )
)

Files = Annotated[list[Path] | None, typer.Argument(metavar="FILE", hidden=True)]


@app.command()
def sandbox(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Listen on this port of 127.0.0.1; 0 is any.")
    ] = PORT,
    tree: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE...",
            help="Serve the categories of these files, in this order, the last one for ever: "
            "the API's JSON, or a bare list. Default: a synthetic tree that changes each time.",
        ),
    ] = None,
    more: Files = None,
    categories: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Size of the synthetic tree at its start.")
    ] = 2_700,
    seed: Annotated[
        int, typer.Option(help="Another number is another synthetic tree; the same, the same.")
    ] = 1,
    advance: Annotated[
        Literal["poll", "command"],
        typer.Option(help="When the next tree comes: after each answer, or at POST /sandbox/next."),
    ] = "poll",
    fault: Annotated[
        list[str] | None, typer.Option(metavar="SPEC", help=FAULT_HELP, show_default=False)
    ] = None,
    rate_limit: Annotated[
        float | None,
        typer.Option(
            metavar="NUMBER",
            help="Refuse more requests a second than this, with 429. Default: no limit.",
            show_default=False,
        ),
    ] = None,
    token_life: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="How long an access token is good.")
    ] = 604_800,
    expired_status: Annotated[
        Literal["200", "401"],
        typer.Option(help="The HTTP status that tells of an expired access token."),
    ] = "401",
    strict_refresh: Annotated[
        bool,
        typer.Option(
            "--strict-refresh",
            help="A refresh token is good once. Without this, until the new pair has been used.",
        ),
    ] = False,
    requires_v2: Annotated[
        bool,
        typer.Option(
            "--require-v2/--any-version",
            help="Refuse requests without category_version=v2, as the US do, or take any.",
        ),
    ] = True,
    config: UnusedConfigOption = None,
) -> None:
    """Run a TikTok Shop API on this machine, to try the publisher without an account.

    It says what to paste into publisher.toml, and runs until Ctrl-C. Signatures and tokens are
    checked as strictly as by the real API; the categories are made up, or yours (--tree).
    """
    validate_config_file(config)
    options = SandboxOptions(
        port=port,
        trees=tuple(read_tree(path) for path in _files(tree or [], more or [])),
        categories=categories,
        seed=seed,
        advance=advance,
        faults=tuple(Fault.parse(spec) for spec in fault or []),
        rate_limit=rate_limit,
        token_life=token_life,
        expired_status=STATUSES[expired_status],
        strict_refresh=strict_refresh,
        requires_v2=requires_v2,
    )
    signals.run(signals.until_stopped(serve(options)))


def _files(tree: list[Path], more: list[Path]) -> list[Path]:
    """Return the files of `--tree a --tree b` or of `--tree a b`, such as a shell makes of `*`."""
    if more and len(tree) != 1:
        raise BadOption(f"{more[0]}: write --tree once before all files, or before each of them")
    return tree + more
