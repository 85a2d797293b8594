"""A rate limit as gateways have it: a token bucket."""

from collections.abc import Callable


class Bucket:
    """Lets `rate` requests a second through, and as many (at least one) at once after a rest."""

    def __init__(self, rate: float, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._clock = clock
        self._capacity = max(1.0, rate)
        self._filled = self._capacity
        self._at = clock()

    def take(self) -> float:
        """Take one request's share; return 0, or the seconds to wait if there is none."""
        now = self._clock()
        gained = max(0.0, now - self._at) * self._rate
        self._filled, self._at = min(self._capacity, self._filled + gained), now
        if self._filled < 1:
            return (1 - self._filled) / self._rate
        self._filled -= 1
        return 0.0
