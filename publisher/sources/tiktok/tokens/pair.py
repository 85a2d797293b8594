"""The pair of tokens, and what a place has to do in which it survives (TikTok Shop API, Tokens).

A refresh may invalidate the pair that it replaces. So such a place always holds one whole pair: the
old one until the new one is safe, then the new one, whenever a process is killed.
"""

from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any, Final, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from publisher.errors import SourceError

DAY: Final = 24 * 3600.0
MARGIN_SHARE: Final = 0.2
LOCK_SECONDS: Final = 120.0
"""How long to wait for another process that refreshes; one request takes a minute at most."""

Token = Annotated[str, Field(pattern=r"^[\x21-\x7e]+$", max_length=8192)]
"""One word of printable ASCII, as an HTTP header can carry it."""


class TokenPair(BaseModel):
    """An access token, and the refresh token that gets the next pair. Its `repr` shows neither.

    Times are Unix seconds, None where unknown, as they are for tokens from the environment.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    access_token: Token = Field(repr=False)
    refresh_token: Token | None = Field(default=None, repr=False)
    stored_at: float | None = None
    access_token_expires_at: float | None = None
    refresh_token_expires_at: float | None = None

    @classmethod
    def from_answer(cls, data: Any, now: float) -> Self:
        """Take the pair out of a token answer's `data`; SourceError if it holds none."""
        if not isinstance(data, dict) or data.get("refresh_token") is None:
            raise SourceError("TikTok Shop's token answer holds no tokens")
        try:
            return cls(
                access_token=data.get("access_token"),
                refresh_token=data["refresh_token"],
                stored_at=now,
                access_token_expires_at=_moment(data.get("access_token_expire_in"), now),
                refresh_token_expires_at=_moment(data.get("refresh_token_expire_in"), now),
            )
        except ValidationError as error:
            raise SourceError(
                f"TikTok Shop's token answer is not as documented: {describe_errors(error)}"
            ) from None

    def is_due(self, now: float) -> bool:
        """Tell whether it is time to refresh: a day, or a fifth of its life, before the end."""
        if self.access_token_expires_at is None or self.stored_at is None:
            return False
        life = self.access_token_expires_at - self.stored_at
        return now >= self.access_token_expires_at - min(DAY, MARGIN_SHARE * life)

    def has_expired(self, now: float) -> bool:
        """Tell whether the access token is known to be of no use any more."""
        return self.access_token_expires_at is not None and now >= self.access_token_expires_at


class TokenStore(Protocol):
    """Where one pair is kept: a file (`FileTokenStore`), or Redis (`RedisTokenStore`)."""

    @property
    def location(self) -> str:
        """Where that is, for messages."""
        ...

    async def load(self) -> TokenPair | None:
        """Return the pair, None if there is none; TokenError if it cannot be used."""
        ...

    async def store(self, pair: TokenPair) -> None:
        """Put `pair` there, whatever was there; it is safe when this returns."""
        ...

    async def replace(self, old: TokenPair | None, new: TokenPair) -> bool:
        """Put `new` in the place of `old`; return False, and leave it, if another pair is there."""
        ...

    async def check_writable(self) -> None:
        """Raise what `store` would raise, as far as that can be known before.

        Done before a refresh: new tokens that cannot be stored are lost, and the old ones may be.
        """
        ...

    def locked(self, seconds: float = LOCK_SECONDS) -> AbstractAsyncContextManager[None]:
        """Be the only one, of all that share the pair, who gets and stores tokens.

        Raises RefreshUnderWay if somebody else is that for `seconds`.
        """
        ...


def describe_errors(error: ValidationError) -> str:
    """Return which fields are wrong, and how, without their values."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    return ", ".join(
        f"{'.'.join(map(str, problem['loc']))}: {problem['type']}".removeprefix(": ")
        for problem in problems
    )


def _moment(value: Any, now: float) -> float | None:
    """Return absolute seconds, which may exceed 32 bits; None for what lies not ahead of `now`.

    A life that is over when it begins is a misunderstanding, which must not make every poll
    refresh: then 105002 tells when the time has come.
    """
    return float(value) if isinstance(value, int) and now < value < 2**53 else None
