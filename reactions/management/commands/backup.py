"""The whole database as one encrypted file."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from reactions.exchange.backup import back_up


class Command(BaseCommand):
    help = (
        "Write everything that the database holds into one file, encrypted under the first key in IVIGTRACK_FIELD_KEYS."
        " Others go on working meanwhile. Keep the file where the keys are not, and try it now and then with `restore`."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            manifest = back_up(options["file"])
        except FileExistsError as error:
            raise CommandError(f"{error} is there already, and no backup takes the place of another.") from error
        except OSError as error:
            raise CommandError(f"The backup could not be written: {error.strerror}.") from error
        rows = sum(manifest.counts.values())
        self.stdout.write(
            f"{rows} rows of {len(manifest.counts)} tables. Last seal of the audit trail: {manifest.head}"
        )
