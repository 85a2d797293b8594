"""The metrics of one publisher: what it counts itself, and what stands in Redis of its catalogs.

Only catalogs whose leases are held here are told, so that a sum over all publishers counts each
once. What it counts itself is told during an outage of Redis too. Durations have no catalog in
their labels: of ten thousand that would be more than a hundred thousand series.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from importlib.metadata import version
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry, Histogram, Metric, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder

from plumbing import clock
from plumbing.errors import RedisError
from plumbing.redis.error_advice import BAD_TLS, BY_CODE, UNREACHABLE, advice_for
from publisher.core.model import Counts
from publisher.errors import WrongType
from publisher.polling.daemon import Daemon, FinishedPoll
from publisher.sources import Source
from publisher.sources.tiktok.stand_ins import answering_shop
from publisher.sources.tiktok.tokens.refreshed import Expiry
from publisher.state.commit import CONTRACT
from publisher.web.catalog_metrics import PREFIX, families
from publisher.web.overview_cache import OverviewResult

OUTCOMES: Final = ("changed", "unchanged", "held", "failed")
BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
"""Seconds. A poll of 2,700 categories takes some 0.2, and what is retried up to two minutes."""


class Scrape(NamedTuple):
    """What one scrape tells. It asks nobody any more, so a thread may put it into phrases."""

    of_process: list[Metric]
    held: dict[str, timedelta]
    """The interval of each catalog whose lease is held here."""
    changes: Counter[tuple[str, str]]
    """By catalog and type."""
    seen: OverviewResult
    now: datetime

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics, as prometheus-client's encoders want."""
        yield from self.of_process
        yield self._changes()
        yield from self._leases()
        yield from families(self.seen.catalogs, self.now)

    def _changes(self) -> Metric:
        """Return the changes; those of a catalog begin at 0, so that the first is seen."""
        family = CounterMetricFamily(
            f"{PREFIX}_changes", "Changes published from here.", labels=["catalog", "type"]
        )
        none = dict.fromkeys(((name, kind) for name in self.held for kind in Counts._fields), 0)
        for labels, count in {**none, **self.changes}.items():
            family.add_metric(labels, count)
        return family

    def _leases(self) -> Iterator[Metric]:
        labels = ["catalog"]
        lease = GaugeMetricFamily(
            f"{PREFIX}_lease_held", "1 for each catalog whose lease is held here.", labels=labels
        )
        interval = GaugeMetricFamily(
            f"{PREFIX}_poll_interval_seconds", "Interval of its polls (poll_every).", labels=labels
        )
        for name, every in self.held.items():
            lease.add_metric([name], 1)
            interval.add_metric([name], every.total_seconds())
        yield lease
        yield interval


class Metrics:
    """Counts what `daemon` does. `expiries` says when the tokens of sources end (`factory`)."""

    def __init__(
        self, expiries: Callable[[Iterable[Source]], Iterable[Expiry]] = lambda _sources: ()
    ) -> None:
        self._expiries = expiries
        self._changes: Counter[tuple[str, str]] = Counter()
        self._redis_errors: Counter[str] = Counter(dict.fromkeys(_kinds(), 0))
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

    def polled(self, done: FinishedPoll) -> None:
        """Count a poll that has ended."""
        outcome = done.polled.outcome if done.polled else "failed"
        self._durations.labels(outcome).observe(done.seconds)
        if done.polled and outcome == "changed":
            for kind, count in done.polled.counts._asdict().items():
                self._changes[done.catalog, kind] += count
        if isinstance(done.error, RedisError):
            self.redis_failed(done.error)
        if isinstance(done.error, WrongType):
            self._redis_errors["wrongtype"] += 1

    def redis_failed(self, error: RedisError) -> None:
        """Count an error of Redis, by what the server said of it."""
        self._redis_errors[_kind(error)] += 1

    def scrape(self, daemon: Daemon, seen: OverviewResult) -> Scrape:
        """Return all metrics as they are now; `seen` are the catalogs polled here."""
        catalogs = daemon.catalogs
        held = sorted(daemon.leases.held() & catalogs.keys())
        of_process = [
            *self._registry.collect(),
            *_of_daemon(daemon, len(held), redis_is_up=not seen.error),
            self._errors(),
            self._token_ends(catalogs[name].source for name in held),
            _stand_ins({name: catalogs[name].source for name in held}),
        ]
        intervals = {name: catalogs[name].poll_every for name in held}
        return Scrape(of_process, intervals, self._changes.copy(), seen, clock.now())

    def _errors(self) -> Metric:
        family = CounterMetricFamily(
            f"{PREFIX}_redis_errors",
            "Errors of Redis in polls and in rounds of the leases.",
            labels=["kind"],
        )
        for kind, count in self._redis_errors.items():
            family.add_metric([kind], count)
        return family

    def _token_ends(self, sources: Iterable[Source]) -> Metric:
        family = GaugeMetricFamily(
            f"{PREFIX}_token_expiry_timestamp_seconds",
            "When a token of catalogs held here ends, in Unix time; absent while not known.",
            labels=["place", "token"],
        )
        ends = {end.location: end for end in self._expiries(sources)}
        for place, end in sorted(ends.items()):
            for token, at in (("access", end.access_token), ("refresh", end.refresh_token)):
                if at is not None:
                    family.add_metric([place, token], at)
        return family


def _stand_ins(sources: Mapping[str, Source]) -> Metric:
    family = GaugeMetricFamily(
        f"{PREFIX}_stand_in",
        "Which shop answered last: 0 the catalog's own, 1 its first stand-in, and so on.",
        labels=["catalog"],
    )
    for name, source in sources.items():
        place = answering_shop(source)
        if place is not None:
            family.add_metric([name], place)
    return family


def encode_scrape(scrape: Scrape, accept: str) -> tuple[bytes, str]:
    """Return `scrape` in the format that the Accept header `accept` wants, and its content type.

    Takes a second for 10,000 catalogs.
    """
    try:
        encoder, content_type = choose_encoder(accept)
    except TypeError:  # a version that is no number
        encoder, content_type = choose_encoder("")
    return encoder(scrape), content_type


def _of_daemon(daemon: Daemon, leases: int, *, redis_is_up: bool) -> Iterator[Metric]:
    about = {"version": version("category-publisher"), "contract": CONTRACT}
    yield InfoMetricFamily(f"{PREFIX}_build", "What runs here.", value=about)
    numbers = (
        ("redis_up", "Whether Redis answered this scrape in time: 1 or 0.", redis_is_up),
        (
            "ready",
            "Whether the leases could be looked at, since the start and now: 1 or 0.",
            daemon.ready.is_set() and not daemon.lease_error,
        ),
        ("catalogs", "Catalogs of this publisher's configuration.", len(daemon.catalogs)),
        ("leases", "Leases that are held here.", leases),
        ("late_polls", "Polls here that are two minutes overdue or longer.", len(daemon.late())),
    )
    for name, told, number in numbers:
        yield GaugeMetricFamily(f"{PREFIX}_{name}", told, value=float(number))


def _kinds() -> list[str]:
    return [*(code.lower() for code in BY_CODE), "unreachable", "tls", "other"]


def _kind(error: RedisError) -> str:
    cause = error.__cause__
    found = advice_for(cause) if isinstance(cause, Exception) else None
    if found is UNREACHABLE:
        return "unreachable"
    if found is BAD_TLS:
        return "tls"
    return next((code.lower() for code, each in BY_CODE.items() if each is found), "other")
