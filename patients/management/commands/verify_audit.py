"""Is the audit trail as it was written?"""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from patients import trail


class Command(BaseCommand):
    help = (
        "Read the whole audit trail and say which events were altered, removed or put in by somebody else, and where. "
        "It prints the digest of the last seal: note it down elsewhere, and give it back with --head another time to "
        "find out whether the end of the trail was cut off."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--head", default="", metavar="DIGEST", help="a digest that was noted down before")

    def handle(self, *args: Any, **options: Any) -> None:
        found = trail.verify(head=options["head"])
        self.stdout.write(f"Events: {found.events}, of them not sealed yet: {found.unsealed}. Seals: {found.seals}.")
        self.stdout.write(f"Last seal: {found.head}")
        for fault in found.faults:
            self.stdout.write(fault)
        if found.faults:
            raise CommandError("The audit trail is not as it was written.")
        self.stdout.write("The audit trail is as it was written.")
