"""The metrics of one publisher: its counters, and those of its catalogs.

Only catalogs whose leases are held here are included, so that a sum over all publishers counts each
once. The counters of the publisher itself are served during an outage of Redis too. Durations have
no label for the catalog: ten thousand catalogs would make more than a hundred thousand series.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from importlib.metadata import version
from itertools import product
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry, Histogram, Metric, ProcessCollector
from prometheus_client.core import InfoMetricFamily
from prometheus_client.exposition import choose_encoder

from plumbing import clock
from plumbing.errors import RedisError
from plumbing.redis.error_advice import BAD_TLS, BY_CODE, UNREACHABLE, advice_for
from publisher.core.model import Counts
from publisher.errors import WrongType
from publisher.polling.daemon import Daemon, FinishedPoll
from publisher.sources import Source
from publisher.sources.tiktok.stand_ins import answering_shop
from publisher.sources.tiktok.tokens.refreshed import TokenExpiry
from publisher.state.commit import CONTRACT
from publisher.web.catalog_metrics import PREFIX, catalog_metrics, counter, gauge
from publisher.web.overview_cache import OverviewResult

OUTCOMES: Final = ("changed", "unchanged", "held", "failed")
BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
"""Seconds. A poll of 2,700 categories takes about 0.2, and one with retries up to two minutes."""
REDIS_ERRORS: Final = {
    **{code.lower(): advice for code, advice in BY_CODE.items()},
    "unreachable": UNREACHABLE,
    "tls": BAD_TLS,
}
"""The kinds of errors that are counted on their own; the rest is `other`."""


class Scrape(NamedTuple):
    """All that one scrape reports. Without I/O, so a thread may encode it."""

    of_process: list[Metric]
    intervals: dict[str, timedelta]
    """The poll interval of each catalog whose lease is held here."""
    changes: Counter[tuple[str, str]]
    """The number of changes of each catalog and type."""
    overviews: OverviewResult
    now: datetime

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics; the encoders of prometheus-client call it."""
        yield from self.of_process
        # a catalog's counters start at 0 before its first change, so that rate() sees that one
        zeros = dict.fromkeys(product(self.intervals, Counts._fields), 0)
        counts = {**zeros, **self.changes}.items()
        yield counter("changes", "Changes published from here.", ["catalog", "type"], counts)
        held = (([name], 1) for name in self.intervals)
        yield gauge("lease_held", "1 for each catalog whose lease is held here.", ["catalog"], held)
        yield gauge(
            "poll_interval_seconds",
            "Interval of its polls (poll_every).",
            ["catalog"],
            (([name], every.total_seconds()) for name, every in self.intervals.items()),
        )
        yield from catalog_metrics(self.overviews.catalogs, self.now)


class Metrics:
    """Counts what the daemon does. `expiries` returns when tokens expire."""

    def __init__(
        self, expiries: Callable[[Iterable[Source]], Iterable[TokenExpiry]] = lambda _sources: ()
    ) -> None:
        self._expiries = expiries
        self._changes: Counter[tuple[str, str]] = Counter()
        self._redis_errors = Counter(dict.fromkeys([*REDIS_ERRORS, "other"], 0))
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._durations = Histogram(
            f"{PREFIX}_poll_duration_seconds",
            "Duration of polls, retries included; its count is that of polls.",
            ["outcome"],
            buckets=BUCKETS,
            registry=self._registry,
        )
        for outcome in OUTCOMES:
            self._durations.labels(outcome)

    def poll_finished(self, poll: FinishedPoll) -> None:
        """Count a poll that has ended."""
        outcome = poll.result.outcome if poll.result else "failed"
        self._durations.labels(outcome).observe(poll.seconds)
        if poll.result and outcome == "changed":
            for kind, count in poll.result.counts._asdict().items():
                self._changes[poll.catalog, kind] += count
        if isinstance(poll.error, RedisError):
            self.redis_failed(poll.error)
        if isinstance(poll.error, WrongType):
            self._redis_errors["wrongtype"] += 1

    def redis_failed(self, error: RedisError) -> None:
        """Count an error of Redis by its kind."""
        cause = error.__cause__
        advice = advice_for(cause) if isinstance(cause, Exception) else None
        kind = next((name for name, each in REDIS_ERRORS.items() if each is advice), "other")
        self._redis_errors[kind] += 1

    def scrape(self, daemon: Daemon, overviews: OverviewResult) -> Scrape:
        """Return all metrics now; `overviews` are of the catalogs polled here."""
        catalogs = daemon.catalogs
        held = sorted(daemon.leases.held() & catalogs.keys())
        of_process = [
            *self._registry.collect(),
            *_daemon_metrics(daemon, len(held), redis_is_up=not overviews.error),
            counter(
                "redis_errors",
                "Errors of Redis in polls and in rounds of the leases.",
                ["kind"],
                (([kind], count) for kind, count in self._redis_errors.items()),
            ),
            self._token_expiries(catalogs[name].source for name in held),
            gauge(
                "stand_in",
                "Which shop answered last: 0 the catalog's own, 1 its first fallback, and so on.",
                ["catalog"],
                (([name], answering_shop(catalogs[name].source)) for name in held),
            ),
        ]
        intervals = {name: catalogs[name].poll_every for name in held}
        return Scrape(of_process, intervals, self._changes.copy(), overviews, clock.now())

    def _token_expiries(self, sources: Iterable[Source]) -> Metric:
        by_location = {expiry.location: expiry for expiry in self._expiries(sources)}
        samples = [
            ([location, token], at)
            for location, expiry in sorted(by_location.items())
            for token, at in (("access", expiry.access_token), ("refresh", expiry.refresh_token))
        ]
        return gauge(
            "token_expiry_timestamp_seconds",
            "When a token of catalogs held here expires, in Unix time; absent while unknown.",
            ["place", "token"],
            samples,
        )


def encode_scrape(scrape: Scrape, accept: str) -> tuple[bytes, str]:
    """Return `scrape` in the format of the header `accept`, and its content type.

    Takes a second for 10,000 catalogs.
    """
    try:
        encoder, content_type = choose_encoder(accept)
    except TypeError:  # the header's version is not a number
        encoder, content_type = choose_encoder("")
    return encoder(scrape), content_type


def _daemon_metrics(daemon: Daemon, leases: int, *, redis_is_up: bool) -> Iterator[Metric]:
    about = {"version": version("category-publisher"), "contract": CONTRACT}
    yield InfoMetricFamily(f"{PREFIX}_build", "What runs here.", value=about)
    is_ready = daemon.ready.is_set() and not daemon.lease_error
    for name, text, number in (
        ("redis_up", "Whether Redis answered this scrape in time: 1 or 0.", redis_is_up),
        ("ready", "Whether the leases could be read, since the start and now: 1 or 0.", is_ready),
        ("catalogs", "Catalogs of this publisher's configuration.", len(daemon.catalogs)),
        ("leases", "Leases that are held here.", leases),
        ("late_polls", "Polls here that are two minutes overdue or longer.", len(daemon.overdue())),
    ):
        yield gauge(name, text, [], [([], float(number))])
