"""What a local run needs before its processes start: tables, static files and, once, demo data.

`python -m ivigtrack.local.prepare` ends with one line on standard output: the demo accounts that can sign in.
"""

import json
import os
import sys

import django
from django.apps import apps
from django.core.management import call_command
from django.db import transaction

DEMO_ACCOUNTS = ("nurse", "admin", "auditor", "other-nurse")
DEMO_SIZE = {"patients": 60, "infusions": 600, "seed": 1}


def load_demo_data_once() -> None:
    """Fill a database that has no clinic yet, all or nothing, so that an interrupted start begins anew."""
    if not apps.get_model("patients", "Clinic").objects.exists():
        with transaction.atomic():
            call_command("demo_data", **DEMO_SIZE, stdout=sys.stderr)


def demo_accounts() -> list[str]:
    """Those of the demo accounts that are in the database."""
    users = apps.get_model("patients", "User").objects.filter(username__in=DEMO_ACCOUNTS, is_active=True)
    return sorted(users.values_list("username", flat=True), key=DEMO_ACCOUNTS.index)


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ivigtrack.settings")
    django.setup()
    call_command("migrate", interactive=False, verbosity=1, stdout=sys.stderr)
    call_command("collectstatic", interactive=False, verbosity=1, stdout=sys.stderr)
    load_demo_data_once()
    print(json.dumps(demo_accounts()))


if __name__ == "__main__":
    main()
