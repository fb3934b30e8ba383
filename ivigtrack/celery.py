"""The Celery application: `celery -A ivigtrack worker` and `celery -A ivigtrack beat`."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ivigtrack.settings")

app = Celery("ivigtrack")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
