"""What staff pages say when mail is not going out."""

from datetime import datetime
from typing import Any

from django import template
from django.utils import timezone

from reactions import watch

register = template.Library()


@register.inclusion_tag("components/sending.html")
def sending_state(*, quiet: bool = True) -> dict[str, Any]:
    """The banner of the frame; nothing while mail goes out, and, if `quiet`, while nothing was ever due."""
    found = watch.verdict()
    shown = not found.is_ready or not quiet
    return {
        "words": found.in_words(clock_words) if shown else "",
        "is_urgent": not found.is_ready,
        "waiting": found.waiting,
    }


def clock_words(moment: datetime) -> str:
    """“14:05” for today, with the date for any other day; in the zone of the person's clinic."""
    local = timezone.localtime(moment)
    return f"{local:%H:%M}" if local.date() == timezone.localdate() else f"{local:%Y-%m-%d %H:%M}"
