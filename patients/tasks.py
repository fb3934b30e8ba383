"""Celery entry points."""

from celery import shared_task
from django.utils import timezone

from patients import trail


@shared_task(name="patients.tasks.seal_trail")
def seal_trail() -> None:
    trail.seal_events(now=timezone.now())
