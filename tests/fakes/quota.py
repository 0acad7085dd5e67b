"""What a table's capacity and the service's own limits let through. The caller holds the backend's lock."""
import math
import time

UNIT_BYTES = 4096  # of one strongly consistent read


class Bucket:
    """Tokens that come back at `rate` a second, up to `rate` times `burst_s`. What is taken may exceed what is
    there, as a page is charged after it was read: the next one is refused until the debt is paid."""

    def __init__(self, clock=time.monotonic):
        self.clock = clock
        self.level, self.rate, self.at = None, None, 0.0

    def _fill(self, rate, burst_s):
        now, most = self.clock(), rate * burst_s
        if self.level is None or rate != self.rate:
            self.level = most
        else:
            self.level = min(self.level + (now - self.at) * rate, most)
        self.rate, self.at = rate, now

    def open(self, rate, burst_s=1, need=0):
        """Whether something may be taken: more than nothing is there, or as much as is needed."""
        self._fill(rate, burst_s)
        return self.level >= need if need else self.level > 0

    def take(self, amount):
        self.level -= amount


def read_units(size, consistent):
    """What reading so many bytes at once costs; half for a read that may be old."""
    return max(1, math.ceil(size / UNIT_BYTES)) * (1.0 if consistent else 0.5)
