"""What the command says at its start: where the sandbox is, and what to paste to use it."""

from typing import Final

from publisher.sandbox.options import SandboxOptions

TEXT: Final = """\
The sandbox is a TikTok Shop API at {url}
Its credentials are public and open nothing else. Ctrl-C stops it.

Paste this into publisher.toml:

[catalogs.us]
source = "tiktok_shop"
poll_every = "10s"
locale = "en-US"
category_version = "v2"
shop_cipher = "{cipher}"

[tiktok_shop]
api_url = "{url}"
auth_url = "{url}"

and this into the shell that runs the publisher:

export CATEGORY_PUBLISHER_TIKTOK_SHOP__APP_KEY='{o.app_key}'
export CATEGORY_PUBLISHER_TIKTOK_SHOP__APP_SECRET='{o.app_secret}'
export CATEGORY_PUBLISHER_TIKTOK_SHOP__ACCESS_TOKEN='{o.access_token}'
export CATEGORY_PUBLISHER_TIKTOK_SHOP__REFRESH_TOKEN='{o.refresh_token}'

To try `category-publisher authorize` instead of the two tokens, use this code, good once:
{o.auth_code}

What it has seen and served: curl {url}/sandbox
The next tree, now: curl -X POST {url}/sandbox/next
"""


def introduction(options: SandboxOptions, url: str) -> str:
    """Return the text for a sandbox with `options` that listens at `url`."""
    return TEXT.format(url=url, cipher=options.shops[0].cipher, o=options)
