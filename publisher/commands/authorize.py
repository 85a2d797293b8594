"""`category-publisher authorize`: turns a seller's authorization code into tokens."""

import sys
from typing import Annotated

import typer

from plumbing.cli import signals
from plumbing.cli.lazy_group import new_app
from plumbing.cli.options import ConfigOption, load_settings
from plumbing.errors import ConfigError
from plumbing.text import escape_control_chars
from publisher.sources.tiktok.authorize import authorize
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
            metavar="CODE",
            help="The authorization code, or the whole URL that the seller was redirected to. "
            "Without it, the command asks for it: a command line can be seen by others.",
        ),
    ] = None,
    catalog: Annotated[
        str | None,
        typer.Option(
            metavar="CATALOG", help="Use this catalog's settings where they override [tiktok_shop]."
        ),
    ] = None,
    stand_in: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER",
            min=1,
            help="Use the settings of this catalog's fallback shop NUMBER, from 1.",
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Turn a seller's authorization code into tokens.

    Stores the tokens in `data_dir`, or in Redis if there is a token_key, and lists the seller's
    shops with their ciphers.
    """
    settings = load_settings(config)
    if stand_in and not catalog:
        raise ConfigError("--stand-in needs --catalog: the fallback shops are those of a catalog")
    shop, command = settings.tiktok_shop, AUTHORIZE_COMMAND
    if catalog:
        shop, command = app_and_command(settings, catalog, stand_in or 0)
    given = code or typer.prompt("Authorization code", err=True)

    async def exchange() -> int:
        async with open_session() as session, open_token_store(settings, shop, command) as store:
            authorization = await authorize(given, shop, session, store)
        seller = escape_control_chars(authorization.seller_name)
        sys.stdout.write(f"Authorized by {seller}; the tokens are stored.\n")
        for each in authorization.shops:
            about = f"{each.region}, {each.seller_type}, id {each.id}, code {each.code}"
            sys.stdout.write(f"{escape_control_chars(f'{each.name} ({about})')}:\n")
            sys.stdout.write(f'  shop_cipher = "{escape_control_chars(each.cipher)}"\n')
        return 0

    signals.run(signals.until_stopped(exchange()))
