"""`category-publisher export`."""

import sys
from typing import Annotated

import typer

from plumbing.cli import signals
from plumbing.cli.lazy_group import new_app
from plumbing.cli.options import CatalogArgument, ConfigOption, load_settings
from plumbing.config.settings import Settings, check_catalog_name
from plumbing.errors import ConfigError
from plumbing.redis.embedded_mode import EmbeddedMode
from plumbing.redis.server import open_server
from publisher import export
from publisher.state.store import Store

app = new_app()


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
    signals.run(_export(load_settings(config), check_catalog_name(catalog), form))


async def _export(settings: Settings, name: str, form: str) -> int:
    async with (
        open_server(settings, EmbeddedMode.START_IF_NEEDED) as server,
        server.client() as client,
    ):
        with server.errors_explained():
            pieces = await export.export_state(Store(client, name), form)
    sys.stdout.reconfigure(encoding="utf-8", newline="")  # type: ignore[union-attr]
    sys.stdout.writelines(pieces)
    return 0
