"""The authorization code, access tokens that expire, refresh tokens that rotate.

Whether a refresh ends the old refresh token is not documented (TikTok Shop API, Tokens). Here it
stays valid until the new pair has been used once, so that a client whose answer was lost can ask
again; `strict_refresh` ends it at once. An old access token stays valid until it expires.
"""

import secrets
from collections import deque
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

from publisher.sandbox.options import SandboxOptions
from publisher.sandbox.responses import BAD_CODE, EXPIRED, INVALID, REFRESH_EXPIRED, ErrorResponse
from publisher.sandbox.signature import is_same_secret

MAX_PAIRS: Final = 100
"""The pairs that are known; an older one is as unknown as one that was never issued."""


@dataclass(frozen=True)
class IssuedPair:
    """An access token and its refresh token.

    Times are Unix seconds; `number` counts the pairs.
    """

    number: int
    access_token: str = field(repr=False)
    access_ends: int
    refresh_token: str = field(repr=False)
    refresh_ends: int


class TokenIssuer:
    """Issues pairs of tokens and checks tokens, by the options' clock.

    `newest` is the pair that was issued last.
    """

    def __init__(self, options: SandboxOptions) -> None:
        self._options = options
        self._pairs: deque[IssuedPair] = deque(maxlen=MAX_PAIRS)
        self._oldest_refreshable = 0
        self._code_is_unused = True
        self._numbers = count()
        self.newest = self._issue(options.access_token, options.refresh_token)

    def check_access(self, token: str) -> None:
        """Raise ErrorResponse unless `token` is an access token that has not expired."""
        for pair in self._pairs:
            if is_same_secret(token, pair.access_token):
                if self._options.clock() >= pair.access_ends:
                    raise ErrorResponse(EXPIRED, status=self._options.expired_status)
                self._end_refresh_before(pair)
                return
        raise ErrorResponse(
            INVALID, "Invalid credentials. The `x-tts-access-token` header is invalid."
        )

    def exchange(self, code: str) -> dict[str, Any]:
        """Return the `data` of the answer with a pair for an authorization code.

        Raises ErrorResponse if the code is wrong or used.
        """
        if not (is_same_secret(code, self._options.auth_code) and self._code_is_unused):
            raise ErrorResponse(BAD_CODE)
        self._code_is_unused = False
        return self._issue_random()

    def refresh(self, token: str) -> dict[str, Any]:
        """Return the `data` of the answer with a new pair for a refresh token.

        Raises ErrorResponse if `token` is unknown, expired or replaced.
        """
        now = self._options.clock()
        for pair in self._pairs:
            is_refreshable = pair.number >= self._oldest_refreshable and now < pair.refresh_ends
            if is_refreshable and is_same_secret(token, pair.refresh_token):
                self._end_refresh_before(pair)
                return self._issue_random()
        raise ErrorResponse(REFRESH_EXPIRED)

    def _issue_random(self) -> dict[str, Any]:
        pair = self._issue(*(f"ROW_{secrets.token_urlsafe(32)}" for _ in range(2)))
        self.newest = pair
        if self._options.strict_refresh:
            self._end_refresh_before(pair)
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

    def _issue(self, access_token: str, refresh_token: str) -> IssuedPair:
        now = self._options.clock()
        pair = IssuedPair(
            next(self._numbers),
            access_token,
            int(now + self._options.token_life),
            refresh_token,
            int(now + self._options.refresh_life),
        )
        self._pairs.append(pair)
        return pair

    def _end_refresh_before(self, pair: IssuedPair) -> None:
        self._oldest_refreshable = max(self._oldest_refreshable, pair.number)
