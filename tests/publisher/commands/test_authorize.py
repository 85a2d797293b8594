"""`category-publisher authorize`, then `sync` with the encrypted tokens."""

import asyncio
from pathlib import Path

from cryptography.fernet import Fernet

from publisher.sandbox import Sandbox, SandboxOptions
from tests.support.processes import PUBLISHER, call

CONFIG = """
[catalogs.us]
source = "tiktok_shop"
category_version = "v2"
shop_cipher = "{cipher}"

[[catalogs.us.stand_ins]]
shop_cipher = "other"
token_file = "other.json"

[tiktok_shop]
api_url = "{url}"
auth_url = "{url}"
"""


async def test_authorize_and_sync(folder: Path) -> None:
    """The tokens are in the embedded server; another key is an error."""
    async with Sandbox(SandboxOptions(categories=20)) as sandbox:
        text = CONFIG.format(url=sandbox.url, cipher=sandbox.options.shops[0].cipher)
        (folder / "publisher.toml").write_text(text)
        variables = {
            "CATEGORY_PUBLISHER_TIKTOK_SHOP__APP_KEY": sandbox.options.app_key,
            "CATEGORY_PUBLISHER_TIKTOK_SHOP__APP_SECRET": sandbox.options.app_secret,
        }
        key = "CATEGORY_PUBLISHER_TIKTOK_SHOP__TOKEN_KEY"

        async def run(*words: str, token_key: str) -> tuple[int, str]:
            given = {**variables, key: token_key}
            done = await asyncio.to_thread(call, PUBLISHER, *words, cwd=folder, **given)
            assert token_key not in done.stdout + done.stderr
            assert "Traceback" not in done.stderr
            return done.returncode, done.stdout + done.stderr

        right, wrong = (Fernet.generate_key().decode() for _ in range(2))
        code, output = await run(
            "authorize", sandbox.options.auth_code, "--stand-in", "1", token_key=right
        )
        assert (code, "--stand-in needs --catalog" in output) == (2, True)
        code, output = await run("authorize", sandbox.options.auth_code, token_key=right)
        assert (code, sandbox.options.shops[0].cipher in output) == (0, True)
        code, output = await run("sync", token_key=right)
        assert (code, "added" in output) == (0, True)
        code, output = await run("sync", token_key=wrong)
        assert (code, "token_key does not decrypt the tokens" in output) == (1, True)
    assert not (folder / "data" / "tiktok-shop-tokens.json").exists()
