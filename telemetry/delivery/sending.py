"""Everything that is due is tried: several channels at once, each one message at a time.

The threads only speak to receivers; the database is asked by the thread that runs this, between their answers. So a
channel that is down costs its own time-out, and holds up no other.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from random import SystemRandom

from telemetry.connections import release_connection
from telemetry.delivery.channels import deliver
from telemetry.delivery.letter import NotSent
from telemetry.delivery.outbox import LEASE, Claim, claim_channel, claim_next, hold, let_go, record_failed, record_sent
from telemetry.models import AlertChannel

log = logging.getLogger(__name__)
AT_ONCE = 8
# One run takes no new message after so long; the next run goes on.
RUN_S = 45.0
_chance = SystemRandom().random
_UnderWay = dict["Future[str]", tuple[AlertChannel, Claim]]


def send_due(clock: Callable[[], dt.datetime], jitter: Callable[[], float] = _chance) -> int:
    """What is due was tried; how many messages arrived. Safe to run several times at once."""
    run, sent = _Run(clock, jitter), 0
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="alert-delivery") as pool:
        run.begin(pool)
        while run.under_way:
            release_connection()
            done, _ = wait(run.under_way, return_when=FIRST_COMPLETED)
            sent += sum(run.settle(future, pool) for future in done)
            run.begin(pool)
    return sent


class _Run:
    """Which channels this run holds, and what is on its way through each."""

    def __init__(self, clock: Callable[[], dt.datetime], jitter: Callable[[], float]) -> None:
        self._clock, self._jitter = clock, jitter
        self._ends = time.monotonic() + RUN_S
        self.under_way: _UnderWay = {}

    def begin(self, pool: ThreadPoolExecutor) -> None:
        """As many channels as may be are under way."""
        while len(self.under_way) < AT_ONCE and time.monotonic() < self._ends:
            held = [channel.pk for channel, _ in self.under_way.values()]
            channel = claim_channel(self._clock(), but=held)
            if channel is None:
                return
            self._next(channel, pool)

    def settle(self, future: Future[str], pool: ThreadPoolExecutor) -> bool:
        """What became of one message is recorded; unless the channel needs rest, its next one is under way."""
        channel, claim = self.under_way.pop(future)
        problem = self._problem(claim, future.exception())
        if problem is None:
            record_sent(claim, self._clock())
        else:
            record_failed(claim, problem, self._clock(), self._jitter)
        if problem is None or not problem.again:
            hold(channel, self._clock() + LEASE)
            self._next(channel, pool)
        return problem is None

    def _next(self, channel: AlertChannel, pool: ThreadPoolExecutor) -> None:
        claim = claim_next(channel, self._clock()) if time.monotonic() < self._ends else None
        if claim is None:
            let_go(channel)
        else:
            self.under_way[pool.submit(deliver, claim.address, claim.letter)] = (channel, claim)

    def _problem(self, claim: Claim, error: BaseException | None) -> NotSent | None:
        if error is None or isinstance(error, NotSent):
            return error
        log.error("an alert could not be sent through channel %s", claim.channel_id, exc_info=error)
        return NotSent(f"{type(error).__name__}: see the worker's log.", again=True)
