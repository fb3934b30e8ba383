"""Write a clinic's infusions in the format that import_log reads."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from patients.models import Clinic, write_event
from reactions.exchange.account import EXPORTER, NoSuchAccount, named_account, service_account
from reactions.exchange.log_export import export_log


class Command(BaseCommand):
    help = "Write a clinic's infusion log (docs/infusion-log.md) to a file or to standard output."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--clinic", required=True, metavar="SLUG")
        parser.add_argument("--output", metavar="FILE", help="where to write; standard output without it")
        parser.add_argument(
            "--by", default="", metavar="USERNAME", help="who exports; otherwise the exporter's account"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        clinic = Clinic.objects.filter(slug=options["clinic"]).first()
        if clinic is None:
            raise CommandError(f"There is no clinic “{options['clinic']}”.")
        try:
            by = named_account(options["by"]) or service_account(EXPORTER)
        except NoSuchAccount as error:
            raise CommandError(str(error)) from error
        if options["output"]:
            try:
                with Path(options["output"]).open("w", encoding="utf-8", newline="") as file:
                    written, running = export_log(clinic, file)
            except OSError as error:
                raise CommandError(f"The file {options['output']} cannot be written: {error.strerror}.") from error
        else:
            written, running = export_log(clinic, self.stdout)
        write_event("log.exported", by=by, about=clinic, clinic=clinic, changes={"rows": written})
        left_out = f" Left out: {running} still running." if running else ""
        self.stderr.write(f"{written} infusions of {clinic.slug} written.{left_out}")
