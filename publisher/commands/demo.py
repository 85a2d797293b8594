"""`category-publisher demo`: shows the whole way from a shop to a SQLite copy."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from plumbing import logs
from plumbing.cli import signals
from plumbing.cli.lazy_group import new_app
from plumbing.cli.options import UnusedConfigOption, validate_config_file
from plumbing.config.settings import Settings
from publisher.demo.scenario import run_demo

app = new_app()


@app.command()
def demo(
    rounds: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Stop after N rounds of changes; exit code 0 only if the copy equals the state.",
        ),
    ] = None,
    every: Annotated[
        float, typer.Option(min=0.1, max=60, metavar="SECONDS", help="Time between rounds.")
    ] = 2.0,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the random tree.")] = 1,
    config: UnusedConfigOption = None,
) -> None:
    """Watch it work: a sandbox shop that changes, the publisher, a SQLite copy.

    Needs no account, no Redis and no configuration. Runs until Ctrl-C, then stops all processes
    that it has started. It writes to a temporary folder only.
    """
    validate_config_file(config)
    logs.configure(Settings.model_construct(log_format="console", log_level="warning"))
    with tempfile.TemporaryDirectory(prefix="category-publisher-") as folder:
        console = Console(highlight=False)
        work = run_demo(Path(folder), console, rounds=rounds, every=every, seed=seed)
        signals.run(signals.until_stopped(work))
