"""`category-publisher export`: writes the state as JSON or CSV."""

import sys
from typing import Annotated

import typer

from plumbing.cli import signals
from plumbing.cli.lazy_group import new_app
from plumbing.cli.options import CatalogArgument, ConfigOption, load_settings
from plumbing.config.settings import check_catalog_name
from plumbing.errors import ConfigError
from plumbing.redis.embedded_mode import EmbeddedMode
from plumbing.redis.server import open_server
from publisher.export import FORMATS, export_state
from publisher.state.store import Store

app = new_app()


@app.command("export")
def export_(
    catalog: CatalogArgument,
    form: Annotated[
        str, typer.Option("--format", metavar="json|csv", help="A JSON list, or CSV.")
    ] = "json",
    config: ConfigOption = None,
) -> None:
    """Write a catalog's categories to standard output.

    The `file` source can read the JSON.
    """
    if form not in FORMATS:
        raise ConfigError(f"--format {form!r}: json and csv are known")
    settings, name = load_settings(config), check_catalog_name(catalog)

    async def write_state() -> int:
        async with (
            open_server(settings, EmbeddedMode.START_IF_NEEDED) as server,
            server.client() as client,
        ):
            with server.explain_errors():
                text = await export_state(Store(client, name), form)
        sys.stdout.reconfigure(encoding="utf-8", newline="")  # type: ignore[union-attr]
        sys.stdout.write(text)
        return 0

    signals.run(write_state())
