"""Everything that is sealed, under the first key."""

from typing import Any

from django.core.management.base import BaseCommand

from patients import rotating
from patients.sealing.keys import fingerprints


class Command(BaseCommand):
    help = (
        "Seal all identifiers under the first key in IVIGTRACK_FIELD_KEYS, so that the others are no longer needed. It "
        "can be stopped and begun again, and the service goes on meanwhile. First give every host the new key behind "
        "the old one, then before it, then call this."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        # Until nothing is left: a host that was late with the new key may have sealed more under an old one.
        while rotating.rotate(self.stdout.write):
            pass
        self.stdout.write(f"Everything is sealed under the key {fingerprints()[0]}; the others are no longer needed.")
