"""A clinic's changed plan reaches the courses that are open: in batches, by the tick, as often as it takes."""

from datetime import datetime

from django.db import transaction
from django.db.models import Q

from reactions.checkins.each import PASSING, sum_over
from reactions.checkins.plan import plan_checkins
from reactions.models import CheckInPlan, Course, Infusion
from reactions.models.plan import LATEST, LONGEST_WINDOW
from reactions.vocabulary import CheckInState

# Courses of one clinic in one tick: some seconds at most, so that the mails of the tick do not wait for it.
BATCH = 200


def apply_changed_plans(now: datetime) -> int:
    """Plan some open courses anew where the clinic's plan was changed. Returns how many.

    What is over by the new plan, or not in it, is cancelled; what was sent stays. A plan saved once more meanwhile
    begins from the first course again.
    """
    changed = CheckInPlan.objects.filter(applied_to__isnull=False)
    return sum_over(changed, lambda plan: _apply(plan, now), what="applying a clinic's plan")


def _apply(plan: CheckInPlan, now: datetime) -> int:
    open_ones = Q(checkins__state=CheckInState.PLANNED) | Q(infusions__ended_at__gt=now - LATEST - LONGEST_WINDOW)
    courses = Course.objects.filter(open_ones, patient__clinic=plan.clinic_id, patient__voided_at=None)
    ahead = list(courses.filter(pk__gt=plan.applied_to).order_by("pk").values_list("pk", flat=True).distinct()[:BATCH])
    reached = ahead[-1] if len(ahead) == BATCH else None
    own = CheckInPlan.objects.filter(pk=plan.pk, saved_at=plan.saved_at)
    try:
        planned = sum_over(ahead, lambda course: _plan_anew(course, now), what="planning a course anew")
    except PASSING:
        raise
    except Exception:
        # A course that could not be planned anew is in the log, and keeps nobody after it waiting.
        own.update(applied_to=reached)
        raise
    own.update(applied_to=reached)
    return planned


@transaction.atomic
def _plan_anew(course: int, now: datetime) -> bool:
    infusions = Infusion.objects.current().filter(course=course).exclude(ended_at=None)
    if latest := infusions.select_related("patient__clinic", "course").order_by("-ended_at", "-pk").first():
        plan_checkins(latest, now=now, plan_changed=True)
    return True
