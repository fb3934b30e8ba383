"""What must be so before the service runs where real patients are, and where it stops if it is not."""

import logging
from typing import Any

from celery.signals import beat_init, worker_init
from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connection

logger = logging.getLogger(__name__)


def unfit() -> list[str]:
    """What keeps this configuration from serving others than this machine; nothing where it serves only that."""
    if settings.IS_LOCAL:
        return []
    wrong = {
        "SITE_URL begins with http://. What patients and staff send must be encrypted on its way.": not settings.HTTPS,
        "IVIGTRACK_WITHOUT_SECOND_STEP is on. It is for demonstrations: a stolen password would open everything.": (
            not settings.SECOND_STEP_REQUIRED
        ),
        "DEBUG is on. It shows whoever causes an error the inside of the service, patients included.": settings.DEBUG,
        "SECRET_KEY is not set.": not settings.SECRET_KEY_IS_SET,
        "IVIGTRACK_FIELD_KEYS is not set. `manage.py new_key` makes a key; keep it apart from the backups.": (
            not settings.FIELD_KEYS
        ),
        "ALLOWED_HOSTS is not set, or allows every name.": (
            not settings.ALLOWED_HOSTS_ARE_SET or "*" in settings.ALLOWED_HOSTS
        ),
    }
    return [words for words, is_so in wrong.items() if is_so]


def must_be_fit() -> None:
    """Raise ImproperlyConfigured unless the service may run so, and KeysDoNotFit for a database of other keys."""
    if wrong := unfit():
        raise ImproperlyConfigured(f"IVIGTrack does not start at {settings.SITE_URL}. " + " ".join(wrong))
    try:
        # Opening it compares the keys (patients/receivers.py).
        connection.ensure_connection()
    except OperationalError as error:
        # It starts all the same, and compares them as soon as the database is there.
        logger.warning("the database cannot be opened at the start: %s", type(error).__name__)
    finally:
        connection.close()


@register
def check_fitness(**_: Any) -> list[CheckMessage]:
    """For every command of manage.py that looks at the configuration first."""
    return [Error(words, id="ivigtrack.E001") for words in unfit()]


@worker_init.connect
@beat_init.connect
def start_fit_or_not_at_all(**_: Any) -> None:
    try:
        must_be_fit()
    except ImproperlyConfigured as error:
        # Anything else Celery would only write down.
        raise SystemExit(str(error)) from error
