"""A client for the sandbox's tests, which signs correctly, or wrongly on demand."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from publisher.sandbox import Fault, Sandbox, SandboxOptions
from publisher.sandbox.signature import expected_signature
from publisher.sandbox.tokens import IssuedPair

CATEGORIES = "/product/202309/categories"
SHOPS = "/authorization/202309/shops"
NOW = 1_795_000_000.0


@dataclass
class Clock:
    """A clock that stops until a test sets it."""

    now: float = NOW

    def __call__(self) -> float:
        """Return Unix seconds."""
        return self.now


@dataclass(frozen=True)
class Reply:
    """An answer of the sandbox."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return orjson.loads(self.body)

    @property
    def code(self) -> int:
        """The envelope's code."""
        return int(self.json["code"])

    @property
    def message(self) -> str:
        """The envelope's message."""
        return str(self.json["message"])

    @property
    def rows(self) -> list[tuple[str, str, str, bool]]:
        """The categories, without their `permission_statuses`."""
        fields = ("id", "parent_id", "local_name", "is_leaf")
        return [
            (row[fields[0]], row[fields[1]], row[fields[2]], row[fields[3]])
            for row in self.json["data"]["categories"]
        ]


@dataclass
class Caller:
    """Sends requests to a sandbox."""

    sandbox: Sandbox
    session: aiohttp.ClientSession
    timeout: float = 30.0
    """Seconds for one request."""

    @property
    def newest(self) -> IssuedPair:
        """The tokens that the sandbox issued last."""
        return self.sandbox.api.tokens.newest

    async def get(
        self,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        method: str = "GET",
    ) -> Reply:
        """Send the request unchanged."""
        timeout = aiohttp.ClientTimeout(self.timeout)
        async with self.session.request(
            method,
            self.sandbox.url + path,
            params=query,
            headers=headers,
            allow_redirects=False,
            timeout=timeout,
        ) as response:
            return Reply(response.status, response.headers, await response.read())

    async def signed(
        self,
        path: str = CATEGORIES,
        query: Mapping[str, str | None] | None = None,
        headers: Mapping[str, str | None] | None = None,
        secret: str | None = None,
    ) -> Reply:
        """Send a signed request; a None in `query` or `headers` removes that value."""
        parameters = {
            "app_key": self.sandbox.options.app_key,
            "timestamp": str(int(self.sandbox.options.clock())),
            "category_version": "v2",
            "shop_cipher": self.sandbox.options.shops[0].cipher,
        }
        if path == SHOPS:
            parameters = {key: parameters[key] for key in ("app_key", "timestamp")}
        sent = _without_none({**parameters, **(query or {})})
        sign = expected_signature(secret or self.sandbox.options.app_secret, path, sent)
        head = {
            "content-type": "application/json",
            "x-tts-access-token": self.newest.access_token,
        }
        return await self.get(
            path, {"sign": sign, **sent}, _without_none({**head, **(headers or {})})
        )

    async def tokens(self, kind: str, **query: str) -> Reply:
        """Request tokens: `kind` is get or refresh; `query` replaces parameters."""
        right = {
            "app_key": self.sandbox.options.app_key,
            "app_secret": self.sandbox.options.app_secret,
        }
        if kind == "get":
            right |= {"auth_code": self.sandbox.options.auth_code, "grant_type": "authorized_code"}
        else:
            right |= {"refresh_token": self.newest.refresh_token, "grant_type": "refresh_token"}
        return await self.get(f"/api/v2/token/{kind}", {**right, **query})


def faulty(*specs: str, categories: int = 600, **options: object) -> SandboxOptions:
    """Return options of a sandbox with these faults."""
    faults = tuple(Fault.parse(spec) for spec in specs)
    return SandboxOptions(faults=faults, categories=categories, **options)  # type: ignore[arg-type]


@asynccontextmanager
async def sandbox_caller(options: SandboxOptions | None = None) -> AsyncIterator[Caller]:
    """Open a sandbox and a caller for it."""
    async with Sandbox(options) as sandbox, aiohttp.ClientSession() as session:
        yield Caller(sandbox, session)


def _without_none(values: Mapping[str, str | None]) -> dict[str, str]:
    return {key: value for key, value in values.items() if value is not None}
