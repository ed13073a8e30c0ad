"""Limits of attempts."""

import time
from collections import OrderedDict
from collections.abc import Callable


class AttemptLimit:
    """A maximum of attempts per key within a time.

    The attempts are kept in the memory of this process, which suffices against guessing and needs
    no other server. With several pods, each has its own limit.
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
        """Count an attempt; return the seconds to wait if it is over the limit, else 0."""
        now = self.clock()
        ends, count = self._counts.pop(key, (now + self.seconds, 0))
        if now >= ends:
            ends, count = now + self.seconds, 0
        self._counts[key] = ends, count + 1
        if len(self._counts) > self.keys:
            # The key with the oldest attempt.
            self._counts.popitem(last=False)
        return ends - now if count >= self.attempts else 0.0

    def forget(self, key: str) -> None:
        self._counts.pop(key, None)
