"""What a clinic's administrator decides about check-ins, once it is written: noted, and brought to the open courses."""

from datetime import datetime
from typing import Any

from django.db import transaction

from patients.models import User, difference, snapshot, write_event
from reactions import tasks
from reactions.clinical.schedule import DEFAULT_PLAN
from reactions.models import CheckInPlan, PlanStep


def plan_snapshot(plan: CheckInPlan) -> dict[str, Any]:
    """The plan and its steps, for `before` of `plan_changed`."""
    stored = snapshot(plan)
    steps = {
        f"step {row['key']}": ", ".join(
            f"{name}: {value}" for name, value in row.items() if name not in {"key", "plan_id"}
        )
        for row in map(snapshot, PlanStep.objects.filter(plan=plan))
    }
    return {name: value for name, value in stored.items() if name not in {"saved_at", "applied_to"}} | steps


@transaction.atomic
def plan_changed(plan: CheckInPlan, *, by: User, before: dict[str, Any], now: datetime) -> None:
    """Note what was changed since `before`, and have the clinic's open courses planned anew by the next ticks.

    A plan without a step gets the default ones, to be changed. Without a change nothing is written.
    """
    if not plan.steps.exists():
        PlanStep.objects.bulk_create(PlanStep.of_step(plan, step) for step in DEFAULT_PLAN)
    changes = difference(before, dict.fromkeys(before) | plan_snapshot(plan))
    if not changes:
        return
    CheckInPlan.objects.filter(pk=plan.pk).update(saved_at=now, applied_to=0)
    write_event("plan.changed", by=by, about=plan, clinic=plan.clinic, changes=changes)
    tasks.wake_after_commit()
