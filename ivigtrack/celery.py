"""The Celery application: `celery -A ivigtrack worker` and `celery -A ivigtrack beat`."""

import os

from celery import Celery

from ivigtrack import broker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ivigtrack.settings")

broker.use()
app = Celery("ivigtrack")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
