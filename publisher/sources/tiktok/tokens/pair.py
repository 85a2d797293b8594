"""The pair of tokens and the protocol of its stores (TikTok Shop API, Tokens).

A refresh may invalidate the pair that it replaces. So a store always holds one complete pair: the
old one until the new one is safely stored, whenever a process is killed.
"""

from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any, Final, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from publisher.errors import SourceError

DAY: Final = 24 * 3600.0
MARGIN_SHARE: Final = 0.2
LOCK_SECONDS: Final = 120.0
"""How long to wait while another process refreshes; its request takes a minute at most."""

Token = Annotated[str, Field(pattern=r"^[\x21-\x7e]+$", max_length=8192)]
"""One word of printable ASCII, as an HTTP header can carry it."""


class TokenPair(BaseModel):
    """An access token and the refresh token for the next pair; `repr` shows neither.

    Times are Unix seconds; None if unknown, as for tokens from the environment.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    access_token: Token = Field(repr=False)
    refresh_token: Token | None = Field(default=None, repr=False)
    stored_at: float | None = None
    access_token_expires_at: float | None = None
    refresh_token_expires_at: float | None = None

    @classmethod
    def from_answer(cls, data: Any, now: float) -> Self:
        """Parse the `data` of a token answer; raises SourceError if it contains no pair."""
        if not isinstance(data, dict) or data.get("refresh_token") is None:
            raise SourceError("TikTok Shop's token answer contains no tokens")
        try:
            return cls(
                access_token=data.get("access_token"),
                refresh_token=data["refresh_token"],
                stored_at=now,
                access_token_expires_at=_expiry(data.get("access_token_expire_in"), now),
                refresh_token_expires_at=_expiry(data.get("refresh_token_expire_in"), now),
            )
        except ValidationError as error:
            raise SourceError(
                f"TikTok Shop's token answer is not as documented: {describe_errors(error)}"
            ) from None

    def is_due(self, now: float) -> bool:
        """Return whether to refresh: a day, or a fifth of its life, before the end."""
        if self.access_token_expires_at is None or self.stored_at is None:
            return False
        lifetime = self.access_token_expires_at - self.stored_at
        return now >= self.access_token_expires_at - min(DAY, MARGIN_SHARE * lifetime)

    def has_expired(self, now: float) -> bool:
        """Return whether the access token is known to have expired."""
        return self.access_token_expires_at is not None and now >= self.access_token_expires_at


class TokenStore(Protocol):
    """Stores one pair: in a file (`FileTokenStore`) or in Redis (`RedisTokenStore`)."""

    @property
    def location(self) -> str:
        """The name of the file or key, for messages."""

    async def load(self) -> TokenPair | None:
        """Return the pair, or None without one. Raises TokenError if it is unusable."""

    async def store(self, pair: TokenPair) -> None:
        """Store `pair` instead of any other; it is safely stored when this returns."""

    async def replace(self, old: TokenPair | None, new: TokenPair) -> bool:
        """Replace `old` with `new`; return False, without effect, if another is stored."""

    async def check_writable(self) -> None:
        """Raise what `store` would raise, as far as that can be known before.

        Call it before a refresh: new tokens that cannot be stored are lost, maybe with the old.
        """

    def locked(self, seconds: float = LOCK_SECONDS) -> AbstractAsyncContextManager[None]:
        """Lock the pair: only the holder requests and stores tokens.

        Raises RefreshUnderWay if somebody else holds the lock for `seconds`.
        """


def describe_errors(error: ValidationError) -> str:
    """Return which fields are wrong and how, without their values."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    return ", ".join(
        f"{'.'.join(map(str, problem['loc']))}: {problem['type']}".removeprefix(": ")
        for problem in problems
    )


def _expiry(value: Any, now: float) -> float | None:
    """Return `value` as Unix seconds; None unless it is a time after `now`.

    It may exceed 32 bits. A time in the past is a misunderstanding. It must not make every poll
    refresh: without a time, error 105002 tells when to refresh.
    """
    return float(value) if isinstance(value, int) and now < value < 2**53 else None
