"""Read an infusion log into a clinic: all of it, or nothing and every reason why not."""

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.text import slugify

from patients.models import Clinic, User, validate_time_zone, write_event
from reactions import worklist
from reactions.exchange.account import IMPORTER, NoSuchAccount, named_account, service_account
from reactions.exchange.bulk import without_garbage_collection
from reactions.exchange.log_rows import STRIDE, Log, Problem, read_log
from reactions.exchange.log_writer import Report, problems_with_records, write_log


class Command(BaseCommand):
    help = "Read an infusion log (docs/infusion-log.md). A log is history: it plans no check-ins and sends no mail."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="a CSV file in UTF-8; - for standard input")
        parser.add_argument("--clinic", required=True, metavar="SLUG")
        parser.add_argument("--create-clinic", action="store_true", help="make the clinic when there is none")
        parser.add_argument("--time-zone", default="UTC", help="of a clinic that is made; UTC unless said")
        parser.add_argument(
            "--by", default="", metavar="USERNAME", help="who records; otherwise the importer's account"
        )
        parser.add_argument(
            "--follow-serious", action="store_true", help="put its serious reactions on the worklist, to be signed"
        )
        parser.add_argument("--dry-run", action="store_true", help="say what would be written, and write nothing")

    @without_garbage_collection()
    def handle(self, *args: Any, **options: Any) -> None:
        """What need not be in the transaction happens before it: on SQLite nobody else can save while it lasts."""
        data = self._read(options["file"])
        clinic, by = self._clinic(options), self._account(options["by"])
        log = read_log(
            data,
            zone=clinic.zone,
            ctcae_version=clinic.ctcae_version,
            now=timezone.now(),
            progress=lambda done: self._say(f"{done} rows read"),
        )
        self._refuse(log.problems or (problems_with_records(clinic, log.rows) if clinic.pk else []))
        try:
            with transaction.atomic():
                report, summary = self._write(clinic, log, data, by=by, name=Path(options["file"]).name)
                if options["follow_serious"]:
                    worklist.follow_log(clinic, report.serious, now=timezone.now())
                if options["dry_run"]:
                    transaction.set_rollback(True)
        except IntegrityError as error:
            said = f"Nothing was imported: somebody recorded the same meanwhile. Start it again. ({error})"
            raise CommandError(said) from error
        self._tell(report, summary, clinic, dry_run=options["dry_run"])
        if report.serious:
            self._tell_of_serious(len(report.serious), follows=options["follow_serious"])

    def _write(
        self, clinic: Clinic, log: Log, data: bytes, *, by: User | None, name: str
    ) -> tuple[Report, dict[str, int]]:
        """Check the log against the records as they are now, and write it. Belongs inside a transaction."""
        if clinic.pk is None:
            clinic.save()
        self._refuse(problems_with_records(clinic, log.rows))
        by = by or service_account(IMPORTER)
        report = write_log(clinic, log.rows, by=by, progress=self._progress(len(log.rows)))
        for message, line in log.warnings:
            report.warn(message, line)
        summary = {"rows": len(log.rows), **report.written}
        changes = {"file": name, "sha256": hashlib.sha256(data).hexdigest(), **summary}
        write_event("log.imported", by=by, about=clinic, clinic=clinic, changes=changes)
        return report, summary

    def _read(self, name: str) -> bytes:
        try:
            return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        except OSError as error:
            raise CommandError(f"The file {name} cannot be read: {error.strerror}.") from error

    def _clinic(self, options: dict[str, Any]) -> Clinic:
        """The clinic, or with --create-clinic one that is not saved yet."""
        slug = options["clinic"]
        clinic = Clinic.objects.filter(slug=slug).first()
        if clinic:
            return clinic
        if not options["create_clinic"]:
            raise CommandError(f"There is no clinic “{slug}”. Add --create-clinic to make it.")
        if slug != slugify(slug):
            raise CommandError(
                f"“{slug}” cannot be a clinic's short name. Write it like {slugify(slug) or 'my-clinic'}."
            )
        try:
            validate_time_zone(options["time_zone"])
        except ValidationError as error:
            raise CommandError(error.message) from error
        return Clinic(slug=slug, name=slug.replace("-", " ").title(), time_zone=options["time_zone"])

    def _account(self, username: str) -> User | None:
        try:
            return named_account(username)
        except NoSuchAccount as error:
            raise CommandError(str(error)) from error

    def _progress(self, total: int) -> Callable[[int], None] | None:
        def tell(done: int) -> None:
            self._say(f"{done} of {total} rows written", is_last=done == total)

        return tell if total > STRIDE else None

    def _say(self, words: str, *, is_last: bool = False) -> None:
        """One line that a terminal overwrites with the next."""
        self.stderr.write(f"{words:<40}", ending="\r" if sys.stderr.isatty() and not is_last else "\n")

    def _refuse(self, problems: list[Problem]) -> None:
        if not problems:
            return
        listed = "\n".join(f"  {problem}" for problem in problems)
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        raise CommandError(f"Nothing was imported: {count}.\n{listed}")

    def _tell(self, report: Report, summary: dict[str, int], clinic: Clinic, *, dry_run: bool) -> None:
        counts = ", ".join(f"{count} {what}" for what, count in summary.items() if count)
        self.stdout.write(f"{'Would import' if dry_run else 'Imported'} into {clinic.slug}: {counts}. No check-ins.")
        for message, lines in report.warnings.items():
            self.stdout.write(
                f"Warning: {message} ({len(lines)} row{'s' if len(lines) > 1 else ''}, first line {lines[0]})"
            )

    def _tell_of_serious(self, count: int, *, follows: bool) -> None:
        where = (
            "on the worklist."
            if follows
            else "not on the worklist: a log is history. To follow them through, import with --follow-serious."
        )
        self.stdout.write(f"Serious reactions: {count}, {where}")
