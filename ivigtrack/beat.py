"""Beat ticks whatever is done to the machine's clock.

Celery's own beat waits until the clock has passed its last run: after a clock that was an hour ahead and set right it
says nothing for that hour, and a restart does not help, since the last run is kept on disk.
"""

import time
from datetime import datetime
from typing import Any

from celery.beat import PersistentScheduler
from celery.schedules import schedstate, schedule


class Steady(schedule):
    """Every so many seconds; due at once when the last run lies ahead of the clock."""

    def is_due(self, last_run_at: datetime) -> schedstate:
        if self.maybe_make_aware(last_run_at) > self.now():
            return schedstate(is_due=True, next=self.seconds)
        return super().is_due(last_run_at)


class Scheduler(PersistentScheduler):
    """Celery's, which plans anew when the clock was set back. It looks at least every `beat_max_loop_interval`."""

    _looked_at = 0.0

    def tick(self, *args: Any, **kwargs: Any) -> float:
        now = time.time()
        if now < self._looked_at:
            self._heap = None
        self._looked_at = now
        seconds: float = super().tick(*args, **kwargs)
        return seconds
