"""What staff pages say of alerts that reached nobody, and of hours in which nobody is on call."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django import template
from django.db.models import Count, Exists, OuterRef, Subquery
from django.utils import timezone

from patients.models import Clinic, User
from reactions.alerts import TOLD_WITHIN
from reactions.clinical.escalation import gaps
from reactions.models import Alert, OnCallShift

register = template.Library()

# How far ahead a gap in the rota is said.
LOOK_AHEAD = timedelta(hours=24)


@dataclass(frozen=True)
class AlertTroubles:
    """Why alerts of the person's clinics may be heard by nobody.

    `untold` maps a clinic's name to how many of its open alerts have reached nobody by mail; `rotas` are sentences such
    as “Nobody is on call at …”, one for each clinic that has a rota with a gap now or within a day.
    """

    untold: dict[str, int]
    rotas: list[str]


@register.simple_tag
def alert_troubles(user: User) -> AlertTroubles:
    """What a page's frame says. One query, and another where a clinic has a rota."""
    now = timezone.now()
    until = now + LOOK_AHEAD
    reached_nobody = Alert.objects.untold(waited_since=now - TOLD_WITHIN).filter(patient__clinic=OuterRef("pk"))
    counted = reached_nobody.order_by().values("patient__clinic").annotate(count=Count("pk")).values("count")
    has_rota = Exists(OnCallShift.objects.filter(clinic=OuterRef("pk")))
    clinics = list(Clinic.objects.visible_to(user).annotate(untold=Subquery(counted), has_rota=has_rota))
    with_rota = [clinic for clinic in clinics if clinic.has_rota]
    spans = defaultdict(list)
    if with_rota:
        shifts = OnCallShift.objects.filter(clinic__in=with_rota).answering().within(now, until).order_by()
        for clinic_pk, starts_at, ends_at in shifts.values_list("clinic", "starts_at", "ends_at"):
            spans[clinic_pk].append((starts_at, ends_at))
    rotas = []
    for clinic in with_rota:
        if open_hours := gaps(spans[clinic.pk], now, until):
            rotas.append(f"Nobody is on call at {clinic} {_when(open_hours[0], now, until, clinic.zone)}.")
    return AlertTroubles({clinic.name: clinic.untold for clinic in clinics if clinic.untold}, rotas)


def _when(gap: tuple[datetime, datetime], now: datetime, until: datetime, zone: ZoneInfo) -> str:
    """“now, until Thu 08:00”, “from Thu 20:00 until Fri 08:00”; no end where the gap goes on beyond what is seen."""
    begins, ends = gap
    end = f"until {ends.astimezone(zone):%a %H:%M}" if ends < until else ""
    if begins == now:
        return f"now, {end}" if end else "now"
    return f"from {begins.astimezone(zone):%a %H:%M} {end}".strip()


@register.filter
def waited(minutes: float | None) -> str:
    """“4 min”, “3 h 20 min”, “2 d 5 h”; “–” for none."""
    if minutes is None:
        return "–"
    whole = round(minutes)
    if whole < 60:
        return f"{whole} min"
    hours, rest = divmod(whole, 60)
    return f"{hours} h {rest} min" if hours < 24 else f"{hours // 24} d {hours % 24} h"
