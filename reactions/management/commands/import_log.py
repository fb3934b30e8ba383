"""Read an infusion log into a clinic: all of it, or nothing and every reason why not."""

import hashlib
import sys
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone
from django.utils.text import slugify

from patients.models import Clinic, User, validate_time_zone, write_event
from reactions.exchange.log_rows import Problem, read_log
from reactions.exchange.log_writer import Report, problems_with_records, write_log

IMPORTER = "import"


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
        parser.add_argument("--dry-run", action="store_true", help="say what would be written, and write nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        data = self._read(options["file"])
        with transaction.atomic():
            clinic = self._clinic(options)
            by = self._user(options["by"])
            log = read_log(data, zone=clinic.zone, ctcae_version=clinic.ctcae_version, now=timezone.now())
            problems = log.problems or problems_with_records(clinic, log.rows)
            if problems:
                raise CommandError(self._refusal(problems))
            report = write_log(clinic, log.rows, by=by, progress=self._progress(len(log.rows)))
            summary = {"rows": len(log.rows), **report.written}
            if options["dry_run"]:
                transaction.set_rollback(True)
            else:
                changes = {"file": Path(options["file"]).name, "sha256": hashlib.sha256(data).hexdigest(), **summary}
                write_event("log.imported", by=by, about=clinic, clinic=clinic, changes=changes)
        self._tell(report, summary, clinic, dry_run=options["dry_run"])

    def _read(self, name: str) -> bytes:
        try:
            return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        except OSError as error:
            raise CommandError(f"The file {name} cannot be read: {error.strerror}.") from error

    def _clinic(self, options: dict[str, Any]) -> Clinic:
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
        return Clinic.objects.create(slug=slug, name=slug.replace("-", " ").title(), time_zone=options["time_zone"])

    def _user(self, username: str) -> User:
        if not username:
            importer, _ = User.objects.get_or_create(username=IMPORTER, defaults={"is_active": False, "password": "!"})
            return importer
        user = User.objects.filter(username=username).first()
        if user is None:
            raise CommandError(f"There is no account “{username}”.")
        return user

    def _progress(self, total: int) -> Any:
        def tell(done: int) -> None:
            if total > 2_000:
                ending = "\n" if done == total or not sys.stderr.isatty() else "\r"
                self.stderr.write(f"{done} of {total} rows", ending=ending)

        return tell

    def _refusal(self, problems: list[Problem]) -> str:
        listed = "\n".join(f"  {problem}" for problem in problems)
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        return f"Nothing was imported: {count}.\n{listed}"

    def _tell(self, report: Report, summary: dict[str, int], clinic: Clinic, *, dry_run: bool) -> None:
        counts = ", ".join(f"{count} {what}" for what, count in summary.items() if count)
        self.stdout.write(f"{'Would import' if dry_run else 'Imported'} into {clinic.slug}: {counts}. No check-ins.")
        for message, lines in report.warnings.items():
            self.stdout.write(
                f"Warning: {message} ({len(lines)} row{'s' if len(lines) > 1 else ''}, first line {lines[0]})"
            )
