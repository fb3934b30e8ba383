"""A backup as a new database."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from reactions.exchange.archive import Damaged
from reactions.exchange.backup import CannotRestore, restore


class Command(BaseCommand):
    help = (
        "Fill the database at DATABASE_URL, which has to be empty, from a file of `backup`; then compare the rows of"
        " each table with what was backed up, and verify the audit trail. It fails where they differ. It sends no mail"
        " until `adopt_site` makes its host the sender. To try a backup, give the address of a database for it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            manifest, wrong = restore(options["file"])
        except (CannotRestore, Damaged) as error:
            raise CommandError(f"{error}") from error
        except OSError as error:
            raise CommandError(f"The backup could not be read: {error.strerror}.") from error
        rows = sum(manifest.counts.values())
        self.stdout.write(f"{rows} rows of {len(manifest.counts)} tables, as they were {manifest.made_at}.")
        for fault in wrong:
            self.stdout.write(fault)
        if wrong:
            raise CommandError("What was restored is not what was backed up.")
        self.stdout.write("Every table has its rows, and the audit trail is as it was written.")
