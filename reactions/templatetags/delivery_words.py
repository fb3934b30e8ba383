"""What became of a check-in or a mail, for templates."""

from zoneinfo import ZoneInfo

from django import template
from django.utils import timezone

from reactions import delivery
from reactions.models import CheckIn, OutboxMessage

register = template.Library()


@register.simple_tag
def delivery_of(checkin: CheckIn) -> delivery.Delivery:
    """What became of the check-in."""
    return delivery.of_checkin(checkin, timezone.now())


@register.simple_tag
def delivery_of_mail(mail: OutboxMessage) -> delivery.Delivery:
    """What became of the mail, on the clocks that the page shows."""
    return delivery.of_mail(mail, ZoneInfo(timezone.get_current_timezone_name()), timezone.now())
