"""`category-publisher sandbox` runs a TikTok Shop API for trials.

It runs on this machine.
"""

from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from plumbing.cli import signals
from plumbing.cli.lazy_group import new_app
from plumbing.cli.options import UnusedConfigOption, validate_config_file
from publisher.sandbox import BadOption, Fault, SandboxOptions, read_tree, serve
from publisher.sandbox.faults import KINDS

app = new_app()

PORT: Final = 8765
FAULT_HELP: Final = "\n\n".join(
    (
        "Respond wrongly on purpose; SPEC is KIND or KIND=VALUE.",
        "Add @3, @2-4 or @5- for some requests for categories only, counted from 1.",
        "May be repeated. Kinds:",
        *(f"{name}{kind.help}" for name, kind in KINDS.items()),
    )
)


@app.command()
def sandbox(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Listen on this port of 127.0.0.1; 0 is any.")
    ] = PORT,
    tree: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE...",
            help="Serve the categories of these files one after the other, the last one for ever: "
            "the API's JSON, or a bare list. Default: a synthetic tree that changes each time.",
        ),
    ] = None,
    more: Annotated[list[Path] | None, typer.Argument(metavar="FILE", hidden=True)] = None,
    categories: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Size of the first synthetic tree.")
    ] = 2_700,
    seed: Annotated[int, typer.Option(help="Seed of the synthetic tree.")] = 1,
    advance: Annotated[
        Literal["poll", "command"],
        typer.Option(
            help="When to serve the next tree: after each response, or at POST /sandbox/next."
        ),
    ] = "poll",
    fault: Annotated[list[str] | None, typer.Option(metavar="SPEC", help=FAULT_HELP)] = None,
    rate_limit: Annotated[
        float | None,
        typer.Option(
            metavar="NUMBER",
            help="Respond with 429 to more requests a second than this. Default: no limit.",
        ),
    ] = None,
    token_life: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="How long an access token is valid.")
    ] = 604_800,
    expired_status: Annotated[
        Literal["200", "401"],
        typer.Option(help="The HTTP status of responses to an expired access token."),
    ] = "401",
    strict_refresh: Annotated[
        bool,
        typer.Option(
            "--strict-refresh",
            help="A refresh token works once. Without this option, until the new pair is used.",
        ),
    ] = False,
    requires_v2: Annotated[
        bool,
        typer.Option(
            "--require-v2/--any-version",
            help="Refuse requests without category_version=v2, as in the US, or accept any.",
        ),
    ] = True,
    config: UnusedConfigOption = None,
) -> None:
    """Run a TikTok Shop API on this machine, to try the publisher without an account.

    Prints what to put into publisher.toml, and runs until Ctrl-C. Checks signatures and tokens as
    strictly as the real API. The categories are synthetic, or yours (--tree).
    """
    validate_config_file(config)
    # `--tree *` becomes `--tree a b c` in a shell: all but the first are arguments
    files, arguments = tree or [], more or []
    if arguments and len(files) != 1:
        raise BadOption(
            f"{arguments[0]}: write --tree once before all files, or before each of them"
        )
    options = SandboxOptions(
        port=port,
        trees=tuple(read_tree(path) for path in files + arguments),
        categories=categories,
        seed=seed,
        advance=advance,
        faults=tuple(Fault.parse(spec) for spec in fault or []),
        rate_limit=rate_limit,
        token_life=token_life,
        expired_status=200 if expired_status == "200" else 401,
        strict_refresh=strict_refresh,
        requires_v2=requires_v2,
    )
    signals.run(signals.until_stopped(serve(options)))
