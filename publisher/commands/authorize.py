"""`category-publisher authorize`."""

import sys
from typing import Annotated

import typer

from plumbing.cli import signals
from plumbing.cli.lazy_group import new_app
from plumbing.cli.options import ConfigOption, load_settings
from plumbing.errors import ConfigError
from plumbing.text import escape_control_chars
from publisher.sources.tiktok.authorize import Authorization, authorize
from publisher.sources.tiktok.error_codes import AUTHORIZE_COMMAND
from publisher.sources.tiktok.factory import app_and_command
from publisher.sources.tiktok.tokens.stores import open_token_store
from publisher.sources.transport import open_session

app = new_app()


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
    settings = load_settings(config)
    if stand_in and not catalog:
        raise ConfigError("--stand-in wants --catalog beside it")
    own = (settings.tiktok_shop, AUTHORIZE_COMMAND)
    shop, command = app_and_command(settings, catalog, stand_in or 0) if catalog else own
    answered = code or typer.prompt("Authorization code", err=True)

    async def exchange() -> int:
        async with open_session() as session, open_token_store(settings, shop, command) as store:
            _show_authorized(await authorize(answered, shop, session, store))
        return 0

    signals.run(signals.until_stopped(exchange()))


def _show_authorized(authorized: Authorization) -> None:
    sys.stdout.write(
        f"Authorized by {escape_control_chars(authorized.seller_name)}; the tokens are kept.\n"
    )
    for shop in authorized.shops:
        about = ", ".join((shop.region, shop.seller_type, f"id {shop.id}", f"code {shop.code}"))
        sys.stdout.write(f"{escape_control_chars(f'{shop.name} ({about})')}:\n")
        sys.stdout.write(f'  shop_cipher = "{escape_control_chars(shop.cipher)}"\n')
