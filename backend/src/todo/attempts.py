"""How often something may be tried."""

import time
from collections import OrderedDict
from collections.abc import Callable


class AttemptLimit:
    """So many attempts of each key within a stretch of time.

    It is kept in memory, of this process only: that is enough to make guessing hopeless, and needs
    no other server. Where several pods serve, each allows as many.
    """

    def __init__(
        self,
        attempts: int,
        seconds: float,
        *,
        keys: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.attempts = attempts
        self.seconds = seconds
        self.keys = keys
        self.clock = clock
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def take(self, key: str) -> float:
        """Count an attempt; tell how many seconds to wait if it is one too many, else 0."""
        now = self.clock()
        ends, count = self._counts.pop(key, (now + self.seconds, 0))
        if now >= ends:
            ends, count = now + self.seconds, 0
        self._counts[key] = ends, count + 1
        if len(self._counts) > self.keys:
            # Longest not tried.
            self._counts.popitem(last=False)
        return ends - now if count >= self.attempts else 0.0

    def forget(self, key: str) -> None:
        self._counts.pop(key, None)
