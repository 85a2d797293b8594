"""Maps TikTok Shop's error codes to actions and messages.

See TikTok Shop API, Errors and Tokens. The envelope's code decides, whatever the HTTP status. The
status decides only if there is no code, or an unknown one.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from plumbing.errors import Error
from publisher.errors import NotAuthorized, ShopClosed, SourceError, TokenExpired, Transient
from publisher.sources.envelope import Envelope, starts_with_success
from publisher.sources.transport import TOO_MANY_REQUESTS, Reply, requested_wait, status_error

AUTHORIZE_COMMAND: Final = "category-publisher authorize"
"""Gets new tokens for [tiktok_shop]. Other tokens need `--catalog`, and maybe `--stand-in`."""
HOUR: Final = 3600


class Rule(NamedTuple):
    """The error to raise for one code of the API, what the code means, and the advice.

    The class of the error decides what happens next: Transient is retried, TokenExpired gets
    another access token, ShopClosed and NotAuthorized go on to a fallback shop, SourceError fails
    the poll. In the advice, `{section}` stands for the catalog's section of publisher.toml,
    `{authorize}` for the command that gets new tokens for the catalog, and `{clock}` for the
    difference between the clocks, if it is known.
    """

    error: type[SourceError | NotAuthorized]
    meaning: str
    advice: str


AUTHORIZE_AGAIN: Final = "run `{authorize}`"
CIPHERS: Final = "`{authorize}` lists the shops with their ciphers"
CHECK_APP: Final = (
    "check that CATEGORY_PUBLISHER_TIKTOK_SHOP__APP_SECRET is the secret of the app key"
)
SET_CLOCK: Final = "{clock}set this machine's clock right (NTP)"
LIMIT: Final = "the app asks too often; a longer poll_every helps"

ERROR_RULES: Final[Mapping[int, Rule]] = {
    105002: Rule(TokenExpired, "the access token has expired", AUTHORIZE_AGAIN),
    36009002: Rule(Transient, "too many requests", LIMIT),
    36009003: Rule(Transient, "internal error", "it may be over soon; see TikTok Shop's status"),
    36009007: Rule(Transient, "time-out at TikTok Shop", "it may be over soon"),
    36009037: Rule(SourceError, "hourly limit of a development shop reached", LIMIT),
    106001: Rule(SourceError, "bad signature", CHECK_APP),
    106013: Rule(SourceError, "shop cipher missing", f"set shop_cipher in {{section}}; {CIPHERS}"),
    101000: Rule(
        ShopClosed,
        "the access token does not fit the shop",
        f"check shop_cipher in {{section}}; {CIPHERS}, and stores the tokens of these shops",
    ),
    105005: Rule(
        SourceError,
        "scope missing",
        "enable the scope of this request for the app in TikTok Shop's Partner Center, then "
        f"let the seller authorize the app again and {AUTHORIZE_AGAIN}",
    ),
    36009033: Rule(
        SourceError,
        "this machine's address is not allowed",
        "add its public IP address to the app's IP allow list in TikTok Shop's Partner Center",
    ),
    36009043: Rule(ShopClosed, "the shop is inactive", "reactivate it at TikTok Shop"),
    36009044: Rule(ShopClosed, "the seller is inactive", "reactivate them at TikTok Shop"),
    12052217: Rule(
        SourceError,
        "this market must use category version v2",
        'set category_version = "v2" in {section} (a catalog published before also needs '
        "`category-publisher sync CATALOG --accept-origin`)",
    ),
    36009014: Rule(SourceError, "API version retired", "install a newer category-publisher"),
    36004001: Rule(
        NotAuthorized,
        "the refresh token has expired, or was already used: by a refresh whose answer was lost, "
        "or by another system that has the same tokens",
        AUTHORIZE_AGAIN,
    ),
    36004004: Rule(
        NotAuthorized,
        "the authorization code is wrong, too old or used up",
        "let the seller authorize the app again, and use the new code immediately and only once",
    ),
    36004005: Rule(
        NotAuthorized,
        "there is no such authorization: the seller may have withdrawn it",
        AUTHORIZE_AGAIN,
    ),
}
TOO_MANY_REQUESTS_CODE: Final = 36009002
HOURLY_LIMIT: Final = 36009037
AMBIGUOUS: Final = 36009004
RULES_BY_MESSAGE: Final[Mapping[str, Rule]] = {
    r"(?i)access[-_ ]?token": Rule(TokenExpired, "access token refused", AUTHORIZE_AGAIN),
    r"(?i)time[-_ ]?stamp": Rule(SourceError, "timestamp refused", SET_CLOCK),
    r"(?i)\bsign": Rule(SourceError, "signature refused", CHECK_APP),
    r"(?i)app[-_ ]?(key|secret)": Rule(SourceError, "app refused", CHECK_APP),
    r"": Rule(SourceError, "request refused", "the message says why"),
}
"""Patterns in the message of AMBIGUOUS. The first that fits counts: a message about the token or
the timestamp may mention the signature too."""


@dataclass(frozen=True)
class RequestContext:
    """What an error message needs to know about the request."""

    section: str
    """The catalog's section of publisher.toml: `[catalogs.us]`."""
    secrets: Iterable[str] = field(repr=False)
    """Texts that the answer might quote and no message may contain."""
    now: float
    """This machine's clock, in Unix seconds."""
    authorize_command: str
    """The command that gets new tokens for the catalog."""


def error_from(reply: Reply, context: RequestContext) -> Error | None:
    """Return the error that `reply` reports, or None for a success.

    Transient if a retry may help, TokenExpired if another access token may, ShopClosed if another
    shop may, NotAuthorized if only an authorization helps, otherwise SourceError. Without an
    envelope the HTTP status decides; the content of a success is checked in `core`.
    """
    if reply.is_success and starts_with_success(reply.body):
        return None
    envelope = Envelope.parse(reply.body)
    if envelope is None or envelope.code == 0:
        return None if reply.is_success else status_error(reply, context.now)
    rule = _rule_for(envelope, reply.status)
    advice = (
        rule.advice.replace("{section}", context.section)
        .replace("{authorize}", context.authorize_command)
        .replace("{clock}", _clock_difference(reply, context.now))
    )
    text = (
        f"{reply.location}: TikTok Shop refused: {rule.meaning} "
        f"({envelope.describe(context.secrets)}): {advice}"
    )
    if envelope.code == HOURLY_LIMIT:
        clock = context.now if reply.date is None else reply.date
        return SourceError(text, not_before=HOUR - clock % HOUR)
    if issubclass(rule.error, Transient):
        wait = reply.retry_after(context.now)
        return Transient(text + requested_wait(wait), not_before=wait)
    return rule.error(text)


def _rule_for(envelope: Envelope, status: int) -> Rule:
    if envelope.code == AMBIGUOUS:
        text = envelope.message
        return next(rule for regex, rule in RULES_BY_MESSAGE.items() if re.search(regex, text))
    if envelope.code in ERROR_RULES:
        return ERROR_RULES[envelope.code]
    if status == TOO_MANY_REQUESTS:
        return ERROR_RULES[TOO_MANY_REQUESTS_CODE]
    error = Transient if status >= 500 else SourceError  # noqa: PLR2004  5xx
    advice = "look the code up at TikTok Shop, or ask its support with request_id"
    return Rule(error, f"HTTP {status}, an error that is not in our list", advice)


def _clock_difference(reply: Reply, now: float) -> str:
    if reply.date is None:
        return ""
    side = "ahead of" if now > reply.date else "behind"
    return f"this machine's clock is {abs(now - reply.date):.0f} s {side} TikTok Shop's: "
