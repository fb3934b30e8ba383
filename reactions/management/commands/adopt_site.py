"""Make this host the one that sends, after a database was restored from a backup or copied here."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from reactions import outbox, recording, site


class Command(BaseCommand):
    help = (
        "Make this host the sender of the database's mail, and no other. Tells first how many mails would leave at "
        "once. Hosts of the same installation need the same IVIGTRACK_SITE_ID afterwards."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument(
            "--skip-due", action="store_true", help="mark the check-ins that are due by now as missed, and send none"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        now = outbox.database_now()
        stopped = site.sending_is_stopped()
        due = recording.due_mails(now)
        self.stdout.write(stopped or "This host is the sender already.")
        self.stdout.write(f"Due now: check-ins {due.checkins}, mails to staff {due.to_staff}.")
        if due.again:
            self.stdout.write(
                f"{due.again} check-ins that were sent wait for an answer, and the links in them stopped working. They "
                "are mailed again with new ones, unless you give --skip-due."
            )
        if not stopped and not options["skip_due"]:
            return
        if not options["yes"] and not self._agreed(due.checkins, skip=options["skip_due"]):
            raise CommandError("Nothing was changed.")
        try:
            done = recording.adopt_site(skip_due=options["skip_due"], now=now)
        except OSError as error:
            said = f"Nothing was changed: the site id cannot be kept ({error.strerror}). Set IVIGTRACK_SITE_ID instead."
            raise CommandError(said) from error
        skipped = f" Check-ins marked missed: {done.skipped}." if options["skip_due"] else ""
        self.stdout.write(f"This host is the sender now.{skipped}")
        self.stdout.write(f"Other hosts of this installation send with IVIGTRACK_SITE_ID={done.site_id}.")

    def _agreed(self, checkins: int, *, skip: bool) -> bool:
        what = "be marked missed" if skip else "be sent to patients"
        self.stdout.write(f"{checkins} check-ins that are due would {what}. A host that sent them before must be off.")
        try:
            return input("Make this host the sender? Type yes: ").strip().lower() == "yes"
        except EOFError:
            return False
