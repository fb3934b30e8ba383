"""One worker process of the benchmark: empties the outbox when it is told to, as a tick does.

`python -m tests.benchmarks.sender` prints a line when it is ready, begins with the next line that it reads, and prints
how many mails it sent.
"""

import logging
import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ivigtrack.settings")
django.setup()

from reactions import outbox  # noqa: E402 - Django has to be there first
from reactions.models import OutboxMessage  # noqa: E402


def main() -> None:
    logging.disable(logging.INFO)
    OutboxMessage.objects.exists()
    print("ready", flush=True)
    input()
    sent = 0
    while outcomes := outbox.dispatch():
        sent += outcomes.get("sent", 0)
    print(sent, flush=True)


if __name__ == "__main__":
    main()
