"""The product's settings with a tick every few seconds, for a scheduler that a test starts."""

import os

from ivigtrack.settings import *  # noqa: F403
from ivigtrack.settings import CELERY_BEAT_SCHEDULE

CELERY_BEAT_SCHEDULE = {"tick": CELERY_BEAT_SCHEDULE["tick"] | {"schedule": float(os.environ["IVIGTRACK_TEST_TICK"])}}
