"""What keeps the rate steps of an infusion in an order that can be, and in line with its start and end."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from patients.models import User, difference, snapshot
from reactions.clinical.flow import problems
from reactions.models import Infusion, RateStep
from reactions.recording.writing import claim, void, write_about
from reactions.vocabulary import RateReason


class ImpossibleSteps(ValueError):
    """The rate steps cannot follow each other like this; `problems` says why, for the person recording."""

    def __init__(self, found: list[str]) -> None:
        super().__init__(" ".join(found))
        self.problems = found


class StepOutside(ImpossibleSteps):
    """A rate step lies where the infusion was not running yet, or no more."""


def check_steps(infusion: Infusion, rows: Iterable[RateStep] | None = None) -> None:
    """Raise ImpossibleSteps when the rate steps cannot follow each other: `rows`, or those that stand now.

    What is about to be written is passed as `rows` before it is: no two steps have one time in the database.
    """
    steps = [step.as_step() for step in (infusion.rate_steps.current() if rows is None else rows)]
    # On the clinic's clocks, since the sentences name times.
    if found := problems([replace(step, at=step.at.astimezone(infusion.zone)) for step in steps]):
        raise ImpossibleSteps(found)


def on_clock(infusion: Infusion, at: datetime) -> str:
    """The moment as the clinic's clocks show it, with its day."""
    return f"{at.astimezone(infusion.zone):%Y-%m-%d %H:%M}"


def move_ends(infusion: Infusion, *, by: User, reason: str, now: datetime) -> None:
    """Bring the first and the last rate step in line with the infusion's start and end, where there are steps.

    Raises ImpossibleSteps before anything is written.
    """
    steps = list(infusion.rate_steps.current().order_by("at"))
    if not steps:
        return
    stop = next((step for step in steps if step.reason == RateReason.STOP), None)
    moves: list[tuple[RateStep, datetime]] = []
    if steps[0].reason == RateReason.START and steps[0].at != infusion.started_at:
        moves.append((steps[0], infusion.started_at))
    if infusion.ended_at and stop and stop.at != infusion.ended_at:
        moves.append((stop, infusion.ended_at))
        if infusion.ended_at > stop.at:
            # The start may move to where the stop stood: the stop goes first.
            moves.reverse()
    added = None
    if infusion.ended_at and stop is None:
        added = RateStep(
            infusion=infusion, at=infusion.ended_at, rate_ml_per_h=Decimal(0), reason=RateReason.STOP, created_by=by
        )
    taken_back = stop if infusion.ended_at is None else None
    moved = {step.pk: at for step, at in moves}
    wanted = [
        RateStep(at=moved.get(step.pk, step.at), rate_ml_per_h=step.rate_ml_per_h, reason=step.reason)
        for step in steps
        if step != taken_back
    ]
    check_steps(infusion, [*wanted, *([added] if added else [])])
    if taken_back:
        why = "The infusion's end was taken back."
        void(taken_back, "rate.voided", by=by, reason=why, seen_version=taken_back.version, now=now)
    for step, at in moves:
        claim(step, step.version)
        before = snapshot(step)
        step.at = at
        step.save(update_fields=["at"])
        write_about(step, "rate.corrected", by=by, changes=difference(before, snapshot(step)), reason=reason)
    if added:
        added.save()
        write_about(added, "rate.changed", by=by, changes=difference({}, snapshot(added)), reason=reason)
