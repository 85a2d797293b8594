"""The options of a sandbox.

Its credentials are fixed and public: they are good for nothing else.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from publisher.sandbox.errors import BadOption
from publisher.sandbox.faults import Fault
from publisher.sandbox.tree import Tree

DAY: Final = 24 * 60 * 60
SHOP_SCOPE: Final = "seller.authorization.info"
CATEGORY_SCOPE: Final = "seller.product.basic"


@dataclass(frozen=True)
class SandboxShop:
    """One of the seller's shops, as Get Authorized Shops lists it."""

    id: str = "7000000000000000001"
    name: str = "Sandbox Shop"
    region: str = "US"
    seller_type: str = "LOCAL"
    cipher: str = "SANDBOX_cipherOfTheSandboxShop"
    code: str = "USSANDBOX1"


@dataclass(frozen=True)
class SandboxOptions:
    """All options of a sandbox; each has a default.

    Raises BadOption if one is out of range.
    """

    port: int = 0
    """The port on 127.0.0.1; 0 means any free port."""
    trees: tuple[Tree, ...] = field(default=(), repr=False)
    """The trees to serve, in this order; if empty, a synthetic tree that changes."""
    categories: int = 2_700
    """The size of a synthetic tree at the start."""
    seed: int = 1
    advance: Literal["poll", "command"] = "poll"
    """When the next tree comes: after each complete answer, or only on command."""
    faults: tuple[Fault, ...] = ()
    rate_limit: float | None = None
    """Requests per second. Requests for tokens do not count."""
    token_life: float = 7 * DAY
    """Seconds that an access token is valid (TikTok Shop API, Tokens: 7 days)."""
    refresh_life: float = 100 * 365 * DAY
    """Seconds that a refresh token is valid; its end exceeds 32 bits, as real ones may (TikTok
    Shop API, Tokens)."""
    expired_status: Literal[200, 401] = 401
    """The HTTP status of 105002; TikTok uses both (TikTok Shop API, Errors)."""
    strict_refresh: bool = False
    """A refresh ends the old refresh token at once, not only when the new pair is used."""
    requires_v2: bool = True
    """The market rejects category version v1, as the US and SEA do."""
    scopes: tuple[str, ...] = (SHOP_SCOPE, CATEGORY_SCOPE)
    user_type: int = 0
    seller_name: str = "Sandbox Seller"
    seller_base_region: str = "US"
    shops: tuple[SandboxShop, ...] = (SandboxShop(),)
    app_key: str = "sandboxappkey"
    app_secret: str = field(default="sandbox-app-secret", repr=False)
    access_token: str = field(default="ROW_sandbox-access-token", repr=False)
    refresh_token: str = field(default="ROW_sandbox-refresh-token", repr=False)
    auth_code: str = field(default="ROW_sandbox-authorization-code", repr=False)
    clock: Callable[[], float] = time.time
    """Unix seconds. Delays are not measured by it; they take real time."""

    def __post_init__(self) -> None:
        for name, low in (("categories", 1), ("rate_limit", 0), ("token_life", 0)):
            value = getattr(self, name)
            if value is not None and not low <= value < float("inf"):
                raise BadOption(f"{name} {value}: has to be at least {low}")
        if self.rate_limit == 0:
            raise BadOption("rate_limit 0: would reject every request; leave it out for no limit")
        if not self.shops:
            raise BadOption("shops: at least one is needed")
