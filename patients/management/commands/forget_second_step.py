"""For who lost phone and recovery codes, where nobody else administers the service."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from patients.models import User
from patients.signing_in import second_step


class Command(BaseCommand):
    help = (
        "Let a person who lost phone and recovery codes set up a new second step at the next sign-in, and sign them out"
        " everywhere. Make sure that it is this person who asks. Other administrators do the same in the admin, under"
        " Users."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")

    def handle(self, *args: Any, username: str, **options: Any) -> None:
        user = User.objects.filter(username=username).first()
        if user is None:
            raise CommandError(f"Nobody is called {username!r} here.")
        second_step.forget(user, by=None, reason="asked for on the command line")
        self.stdout.write(f"{username} sets up a new second step at the next sign-in.")
