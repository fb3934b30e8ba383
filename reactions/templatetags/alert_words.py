"""What staff pages say of alerts that reached nobody."""

from collections import Counter

from django import template
from django.utils import timezone

from patients.models import User
from reactions.alerts import TOLD_WITHIN
from reactions.models import Alert

register = template.Library()


@register.simple_tag
def untold_by_clinic(user: User) -> dict[str, int]:
    """The person's clinics in which open alerts have reached nobody by mail, by name, and how many alerts."""
    untold = Alert.objects.visible_to(user).untold(waited_since=timezone.now() - TOLD_WITHIN)
    return dict(Counter(untold.values_list("patient__clinic__name", flat=True)))
