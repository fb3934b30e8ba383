"""Look for lots, products and sites that stand out: the same as the worker does once a day, for cron or by hand."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from reactions.management.choosing import clinics_named
from reactions.raising import raise_signals


class Command(BaseCommand):
    help = "Look for lots, products and sites with more reactions than expected, and raise what is new as signals."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--clinic", metavar="SLUG", help="one clinic; without it, all")

    def handle(self, *args: Any, **options: Any) -> None:
        for clinic in clinics_named(options["clinic"]):
            raised = raise_signals(clinic, now=timezone.now())
            self.stdout.write(f"{clinic}: {raised} new, {clinic.signals.open().count()} open.")
