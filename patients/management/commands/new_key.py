"""A key for IVIGTRACK_FIELD_KEYS."""

import secrets
from typing import Any

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = (
        "Print a random key for IVIGTRACK_FIELD_KEYS. Keep it where the database's backups are not: without it nobody "
        "reads a name again, with it whoever has the database reads all."
    )
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(secrets.token_urlsafe(32))
