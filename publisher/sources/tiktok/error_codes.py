"""What each of TikTok Shop's errors means to us (TikTok Shop API, Errors and Tokens).

The envelope's code decides, at whatever HTTP status; the status only where the code says nothing.
"""

import enum
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from plumbing.errors import Error
from publisher.errors import NotAuthorized, ShopClosed, SourceError, TokenExpired, Transient
from publisher.sources.envelope import Envelope, starts_with_success
from publisher.sources.transport import TOO_MANY_REQUESTS, Reply, asked_to_wait, status_error

AUTHORIZE_COMMAND: Final = "category-publisher authorize"
"""Gets new tokens for [tiktok_shop]. Other tokens need `--catalog`, and maybe `--stand-in`."""
HOUR: Final = 3600


class ErrorAction(enum.Enum):
    """What to do about an error."""

    RETRY = "ask again, with back-off"
    WAIT = "ask again after Retry-After, or with back-off"
    NEXT_HOUR = "fail the poll; the next one waits for the next full hour"
    RENEW = "get another access token, once, and ask again, once"
    AUTHORIZE = "ask a stand-in shop, or else fail; someone has to authorize the app again"
    CLOSED = "ask a stand-in shop, or else as FIX"
    FIX = "fail the poll; someone has to fix what the message says"


class ErrorRule(NamedTuple):
    """One error of the API: what it means and what to do about it.

    `{section}` in the advice becomes the place of the catalog in publisher.toml, `{authorize}` the
    command that gets it new tokens.
    """

    reaction: ErrorAction
    meaning: str
    advice: str


AUTHORIZE_AGAIN: Final = "run `{authorize}`"
CIPHERS: Final = "`{authorize}` lists the shops with their ciphers"
CHECK_APP: Final = (
    "check that CATEGORY_PUBLISHER_TIKTOK_SHOP__APP_SECRET is the secret of the app key"
)
LIMIT: Final = "the app asks too often; a longer poll_every helps"

ERROR_RULES: Final[Mapping[int, ErrorRule]] = {
    105002: ErrorRule(ErrorAction.RENEW, "the access token has expired", AUTHORIZE_AGAIN),
    36009002: ErrorRule(ErrorAction.WAIT, "too many requests", LIMIT),
    36009003: ErrorRule(
        ErrorAction.RETRY, "internal error", "it may pass; see TikTok Shop's status"
    ),
    36009007: ErrorRule(ErrorAction.RETRY, "time-out at TikTok Shop", "it may pass"),
    36009037: ErrorRule(ErrorAction.NEXT_HOUR, "hourly limit of a development shop reached", LIMIT),
    106001: ErrorRule(ErrorAction.FIX, "bad signature", CHECK_APP),
    106013: ErrorRule(
        ErrorAction.FIX, "shop cipher missing", f"set shop_cipher in {{section}}; {CIPHERS}"
    ),
    101000: ErrorRule(
        ErrorAction.CLOSED,
        "the access token does not fit the shop",
        f"check shop_cipher in {{section}}; {CIPHERS}, and stores tokens that fit them",
    ),
    105005: ErrorRule(
        ErrorAction.FIX,
        "scope missing",
        "enable the scope of this request for the app in TikTok Shop's Partner Center, then "
        f"let the seller authorize the app again and {AUTHORIZE_AGAIN}",
    ),
    36009033: ErrorRule(
        ErrorAction.FIX,
        "this machine's address is not allowed",
        "add its public IP address to the app's IP allow list in TikTok Shop's Partner Center",
    ),
    36009043: ErrorRule(ErrorAction.CLOSED, "the shop is inactive", "reactivate it at TikTok Shop"),
    36009044: ErrorRule(
        ErrorAction.CLOSED, "the seller is inactive", "reactivate them at TikTok Shop"
    ),
    12052217: ErrorRule(
        ErrorAction.FIX,
        "this market must use category version v2",
        'set category_version = "v2" in {section} (a catalog published before also needs '
        "`category-publisher sync CATALOG --accept-origin`)",
    ),
    36009014: ErrorRule(
        ErrorAction.FIX,
        "this version of the API is retired",
        "install a newer category-publisher",
    ),
    36004001: ErrorRule(
        ErrorAction.AUTHORIZE,
        "the refresh token has expired, or is used up: by a refresh whose answer was lost, or by "
        "another system that has the same tokens",
        AUTHORIZE_AGAIN,
    ),
    36004004: ErrorRule(
        ErrorAction.AUTHORIZE,
        "the authorization code is wrong, too old or used up",
        "let the seller authorize the app again, and use the new code at once, and once",
    ),
    36004005: ErrorRule(
        ErrorAction.AUTHORIZE,
        "there is no such authorization: the seller may have withdrawn it",
        AUTHORIZE_AGAIN,
    ),
}
WITHOUT_WAIT: Final[Mapping[ErrorAction, type[Error]]] = {
    ErrorAction.RENEW: TokenExpired,
    ErrorAction.AUTHORIZE: NotAuthorized,
    ErrorAction.CLOSED: ShopClosed,
    ErrorAction.FIX: SourceError,
}
"""Reactions whose error says nothing of when to ask again."""
AMBIGUOUS: Final = 36009004
"""Stands for several things; the message tells which. See `_by_message`."""


@dataclass(frozen=True)
class RequestContext:
    """What an error's text has to know of the request."""

    section: str
    """Where the catalog is configured: `[catalogs.us]`."""
    hidden: Iterable[str] = field(repr=False)
    """Secrets that the answer might quote."""
    clock: Callable[[], float] = time.time
    """This machine's Unix seconds."""
    authorize: str = AUTHORIZE_COMMAND
    """The command that gets new tokens for it."""


def error_from(reply: Reply, context: RequestContext) -> Error | None:
    """Return the error that `reply` is, or None if it is a success.

    SourceError, of it Transient if asking again may help, TokenExpired if another access token may
    and ShopClosed if another shop may; NotAuthorized if only an authorization helps. A body without
    an envelope is judged by the HTTP status alone: of a success, what it says is `snapshot`'s
    business.
    """
    succeeded = 200 <= reply.status < 300  # noqa: PLR2004  2xx
    if succeeded and starts_with_success(reply.body):
        return None
    envelope = Envelope.parse(reply.body)
    if envelope is None or envelope.code == 0:
        return None if succeeded else status_error(reply, context.clock())
    rule = _rule_for(envelope, reply, context)
    text = (
        f"{reply.location}: TikTok Shop refused: {rule.meaning} "
        f"({envelope.describe(context.hidden)}): {_filled(rule.advice, context)}"
    )
    return _raised(rule.reaction, text, reply, context)


def _filled(advice: str, context: RequestContext) -> str:
    return advice.replace("{section}", context.section).replace("{authorize}", context.authorize)


def _rule_for(envelope: Envelope, reply: Reply, context: RequestContext) -> ErrorRule:
    if envelope.code == AMBIGUOUS:
        return _rule_by_message(envelope.message, reply, context)
    if envelope.code in ERROR_RULES:
        return ERROR_RULES[envelope.code]
    if reply.status == TOO_MANY_REQUESTS:
        return ERROR_RULES[36009002]
    meaning = f"HTTP {reply.status}, an error that is not in our list"
    reaction = ErrorAction.RETRY if reply.status >= 500 else ErrorAction.FIX  # noqa: PLR2004  5xx
    return ErrorRule(
        reaction, meaning, "look the code up at TikTok Shop, or ask its support with request_id"
    )


def _rule_by_message(message: str, reply: Reply, context: RequestContext) -> ErrorRule:
    """Tell what 36009004 means this time."""
    if re.search(r"access[-_ ]?token", message, re.IGNORECASE):
        return ErrorRule(ErrorAction.RENEW, "the access token is not accepted", AUTHORIZE_AGAIN)
    if re.search(r"time[-_ ]?stamp", message, re.IGNORECASE):
        return ErrorRule(
            ErrorAction.FIX, "the timestamp is not accepted", _clock_advice(reply, context)
        )
    if re.search(r"\bsign", message, re.IGNORECASE):
        return ErrorRule(ErrorAction.FIX, "the signature is not accepted", CHECK_APP)
    if re.search(r"app[-_ ]?(key|secret)", message, re.IGNORECASE):
        return ErrorRule(ErrorAction.FIX, "the app is not accepted", CHECK_APP)
    return ErrorRule(ErrorAction.FIX, "the request is not accepted", "the message says why")


def _clock_advice(reply: Reply, context: RequestContext) -> str:
    advice = "set this machine's clock right (NTP)"
    if reply.date is None:
        return advice
    ahead = context.clock() - reply.date
    side = "ahead of" if ahead > 0 else "behind"
    return f"this machine's clock is {abs(ahead):.0f} s {side} TikTok Shop's: {advice}"


def _raised(reaction: ErrorAction, text: str, reply: Reply, context: RequestContext) -> Error:
    if kind := WITHOUT_WAIT.get(reaction):
        return kind(text)
    now = context.clock()
    if reaction is ErrorAction.NEXT_HOUR:
        here = now if reply.date is None else reply.date
        return SourceError(text, not_before=HOUR - here % HOUR)
    wait = reply.retry_after(now)
    if reaction is ErrorAction.WAIT:
        text += asked_to_wait(wait)
    return Transient(text, not_before=wait)
