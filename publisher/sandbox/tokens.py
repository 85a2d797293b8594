"""The sandbox's tokens: authorization codes, access tokens that expire, refresh tokens that rotate.

Whether a refresh ends the old refresh token is not documented (TikTok Shop API, Tokens). Here it
stays good until the new pair has been used once, so that a client whose answer was lost can ask
again; `strict_refresh` ends it at once. An old access token lives to its natural end.
"""

import secrets
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

from publisher.sandbox.options import SandboxOptions
from publisher.sandbox.responses import BAD_CODE, EXPIRED, INVALID, REFRESH_EXPIRED, Refused
from publisher.sandbox.signature import same

REMEMBERED: Final = 100
"""So many pairs are known; an older one is as unknown as one that was never issued."""


@dataclass(frozen=True)
class Pair:
    """An access token and its refresh token; times are Unix seconds, numbers ascend."""

    number: int
    access_token: str = field(repr=False)
    access_ends: int
    refresh_token: str = field(repr=False)
    refresh_ends: int


class Tokens:
    """Issues pairs and judges tokens, by the options' clock."""

    def __init__(self, options: SandboxOptions) -> None:
        self._options = options
        self._pairs: deque[Pair] = deque(maxlen=REMEMBERED)
        self._oldest_refreshable = 0
        self._code_is_unused = True
        self._issued = 0
        self._issue(options.access_token, options.refresh_token)

    @property
    def newest(self) -> Pair:
        """The pair that was issued last."""
        return self._pairs[-1]

    def check_access(self, token: str) -> None:
        """Raise Refused unless `token` is an access token that has not expired."""
        for pair in self._pairs:
            if same(token, pair.access_token):
                self._check_end(pair)
                self._used(pair)
                return
        raise Refused(INVALID, "Invalid credentials. The `x-tts-access-token` header is invalid.")

    def exchange(self, code: str) -> Pair:
        """Return a pair for an authorization code, which is good once; Refused if it is not."""
        if not (same(code, self._options.auth_code) and self._code_is_unused):
            raise Refused(BAD_CODE)
        self._code_is_unused = False
        return self._new()

    def refresh(self, token: str) -> Pair:
        """Return a new pair; Refused if `token` is unknown, expired or replaced."""
        for pair in self._pairs:
            if same(token, pair.refresh_token) and self._is_refreshable(pair):
                self._used(pair)
                return self._new()
        raise Refused(REFRESH_EXPIRED)

    def answer(self, pair: Pair) -> dict[str, Any]:
        """Return the `data` that tells a client of `pair`."""
        return {
            "access_token": pair.access_token,
            "access_token_expire_in": pair.access_ends,
            "refresh_token": pair.refresh_token,
            "refresh_token_expire_in": pair.refresh_ends,
            "open_id": "sandbox-open-id",
            "seller_name": self._options.seller_name,
            "seller_base_region": self._options.seller_base_region,
            "user_type": self._options.user_type,
            "granted_scopes": list(self._options.scopes),
        }

    def _new(self) -> Pair:
        pair = self._issue(*(f"ROW_{secrets.token_urlsafe(32)}" for _ in range(2)))
        if self._options.strict_refresh:
            self._used(pair)
        return pair

    def _issue(self, access_token: str, refresh_token: str) -> Pair:
        now = self._options.clock()
        pair = Pair(
            self._issued,
            access_token,
            int(now + self._options.token_life),
            refresh_token,
            int(now + self._options.refresh_life),
        )
        self._issued += 1
        self._pairs.append(pair)
        return pair

    def _used(self, pair: Pair) -> None:
        self._oldest_refreshable = max(self._oldest_refreshable, pair.number)

    def _is_refreshable(self, pair: Pair) -> bool:
        return pair.number >= self._oldest_refreshable and self._options.clock() < pair.refresh_ends

    def _check_end(self, pair: Pair) -> None:
        if self._options.clock() >= pair.access_ends:
            raise Refused(EXPIRED, status=self._options.expired_status)
