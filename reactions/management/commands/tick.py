"""Do what is due: the worker's tick, and then what it does for rates and for the trail. For cron, without a broker."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from patients import trail
from reactions import watch
from reactions.checkins import due
from reactions.rates import keeping
from reactions.vocabulary import WatchedPart


class Command(BaseCommand):
    help = (
        "Close check-ins that are over, queue those that are due, and send what waits in the outbox. Afterwards the "
        "rates that are kept ready are brought up to date, and the audit trail is sealed."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        with watch.turn(WatchedPart.CRON) as turn:
            report = due.tick()
            turn.mails = report.mails
        keeping.keep_up()
        trail.seal_events(now=timezone.now())
        mails = ", ".join(f"{count} {outcome}" for outcome, count in sorted(report.mails.items())) or "none"
        self.stdout.write(f"Closed {report.closed}, queued {report.queued}; mails: {mails}.")
