"""How fast and how much: what the rate steps of an infusion add up to. Pure.

Signatures
    Step(at, rate_ml_per_h, reason)
    volume_ml(steps, until) -> Decimal                        mL from the first step to `until` or the stop
    volume_at(steps, moment, ended_at=None) -> Decimal        the same for an onset, which may lie after the end
    current_rate(steps, at) -> Decimal                        mL/h; 0 while paused, before the start, after the stop
    rate_at(steps, moment, ended_at=None) -> Decimal          the same for an onset, which may lie after the end
    rate_before(steps, moment, ended_at=None) -> Decimal      mL/h that ran up to the moment, before a step at it
    rate_at_onset(steps, onset, ended_at=None) -> Decimal     the same; in the minute of the start, the first rate
    maximum_rate(steps) -> Decimal                            mL/h
    mean_rate(steps, until) -> Decimal | None                 mL/h over the whole time, pauses included
    mean_running_rate(steps, until) -> Decimal | None         mL/h over the time in which it ran
    duration(steps, until), running_time(steps, until) -> timedelta
    volume_for_dose(dose_g, concentration_percent) -> Decimal mL
    percent_of_dose(volume_ml, dose_g, concentration_percent) -> Decimal
    per_kg(rate_ml_per_h, weight_kg) -> Decimal               mL/kg/h
    next_reasons(last) -> tuple[RateReason, ...]              which step can follow which
    problems(steps) -> list[str]                              sentences about sequences that cannot be
    summarise(steps, *, dose_g, weight_kg, concentration_percent, until) -> Summary

Steps come in any order. Each holds from its time, inclusive, to the time of the next, exclusive; a pause and a stop
run at 0 whatever rate they carry, and what follows a stop is left out. `until` is the end, or now while the infusion
runs. Nothing is rounded here. Amounts: a solution of 10 % holds 0.1 g in a millilitre. Label rates in mg/kg/min of a
10 % solution times 0.6 are mL/kg/h: the dermatomyositis label's 4 mg/kg/min (0.04 mL/kg/min) is 2.4 mL/kg/h (Octagam
10 %, dosage and administration).

Moments are compared in UTC: Python subtracts two times of one zone by their clock faces, which is an hour wrong when
the clocks change during an infusion.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from reactions.vocabulary import LABELS, RateReason

STILL = frozenset({RateReason.PAUSE, RateReason.STOP})
ZERO = Decimal(0)
_MICROSECOND = timedelta(microseconds=1)
_HOUR = timedelta(hours=1)
_WHILE_RUNNING = (RateReason.STEP_UP, RateReason.SLOW, RateReason.PAUSE, RateReason.STOP)
_FOLLOWING: dict[RateReason | None, tuple[RateReason, ...]] = {
    None: (RateReason.START,),
    RateReason.START: _WHILE_RUNNING,
    RateReason.STEP_UP: _WHILE_RUNNING,
    RateReason.SLOW: _WHILE_RUNNING,
    RateReason.RESUME: _WHILE_RUNNING,
    RateReason.PAUSE: (RateReason.RESUME, RateReason.STOP),
    RateReason.STOP: (),
}


@dataclass(frozen=True)
class Step:
    """A change of rate. `at` carries its zone; sentences show it in that zone."""

    at: datetime
    rate_ml_per_h: Decimal
    reason: RateReason


@dataclass(frozen=True)
class Summary:
    """What the steps add up to by `until`. None where a number cannot be told: no time passed, no weight, no label."""

    volume_ml: Decimal
    planned_ml: Decimal | None
    percent_of_dose: Decimal | None
    current_rate_ml_per_h: Decimal
    maximum_rate_ml_per_h: Decimal
    mean_rate_ml_per_h: Decimal | None
    mean_running_rate_ml_per_h: Decimal | None
    current_rate_ml_per_kg_h: Decimal | None
    maximum_rate_ml_per_kg_h: Decimal | None
    mean_rate_ml_per_kg_h: Decimal | None
    duration: timedelta
    running_time: timedelta


def volume_ml(steps: Sequence[Step], until: datetime) -> Decimal:
    """Millilitres from the first step to `until`, or to the stop when that is earlier."""
    return _rate_times_microseconds(steps, until) / _microseconds(_HOUR)


def volume_at(steps: Sequence[Step], moment: datetime, ended_at: datetime | None = None) -> Decimal:
    """Millilitres that had run by a moment. Pass the end: without a stop the last rate would run on for ever."""
    until = moment if ended_at is None else min(_utc(moment), _utc(ended_at))
    return volume_ml(steps, until)


def current_rate(steps: Sequence[Step], at: datetime) -> Decimal:
    """mL/h that run at the moment; a step at that very moment counts. 0 before the start and after the stop."""
    return _rate(next((step for step in reversed(_until_stop(steps)) if _utc(step.at) <= _utc(at)), None))


def rate_at(steps: Sequence[Step], moment: datetime, ended_at: datetime | None = None) -> Decimal:
    """mL/h at the moment; 0 from the end on, also when no stop was recorded."""
    if ended_at is not None and _utc(moment) >= _utc(ended_at):
        return ZERO
    return current_rate(steps, moment)


def rate_before(steps: Sequence[Step], moment: datetime, ended_at: datetime | None = None) -> Decimal:
    """mL/h that ran up to the moment; 0 after the end.

    This is the rate at an onset: whoever slows, pauses or stops for a reaction writes the minute of the onset.
    """
    if ended_at is not None and _utc(moment) > _utc(ended_at):
        return ZERO
    return _rate(next((step for step in reversed(_until_stop(steps)) if _utc(step.at) < _utc(moment)), None))


def rate_at_onset(steps: Sequence[Step], onset: datetime, ended_at: datetime | None = None) -> Decimal:
    """mL/h that ran up to the onset. Onsets are written to the minute: one in the minute of the start had the first."""
    first = min(_until_stop(steps), key=lambda step: _utc(step.at), default=None)
    if first and _utc(onset).replace(second=0, microsecond=0) == _utc(first.at).replace(second=0, microsecond=0):
        return _rate(first)
    return rate_before(steps, onset, ended_at)


def maximum_rate(steps: Sequence[Step]) -> Decimal:
    """The highest mL/h; 0 without steps."""
    return max((_rate(step) for step in _until_stop(steps)), default=ZERO)


def mean_rate(steps: Sequence[Step], until: datetime) -> Decimal | None:
    """Time-weighted mL/h from the start to `until` or the stop, pauses included; None when no time has passed."""
    return _mean(steps, until, duration(steps, until))


def mean_running_rate(steps: Sequence[Step], until: datetime) -> Decimal | None:
    """Time-weighted mL/h over the time in which something ran; None when nothing has run."""
    return _mean(steps, until, running_time(steps, until))


def duration(steps: Sequence[Step], until: datetime) -> timedelta:
    """From the first step to `until`, or to the stop when that is earlier; pauses are part of it."""
    return sum((span for span, step in _stretches(steps, until) if step.reason != RateReason.STOP), timedelta())


def running_time(steps: Sequence[Step], until: datetime) -> timedelta:
    """The part of the duration in which the rate was above 0."""
    return sum((span for span, step in _stretches(steps, until) if _rate(step) > 0), timedelta())


def volume_for_dose(dose_g: Decimal, concentration_percent: Decimal) -> Decimal:
    """Millilitres that hold the dose. Raises ValueError for a concentration that is not above 0."""
    if concentration_percent <= 0:
        raise ValueError("A concentration must be more than 0 %.")
    return dose_g * 100 / concentration_percent


def percent_of_dose(volume_ml: Decimal, dose_g: Decimal, concentration_percent: Decimal) -> Decimal:
    """How much of the dose the volume holds, in percent; above 100 when more ran than was ordered.

    Raises ValueError for a dose that is not above 0.
    """
    if dose_g <= 0:
        raise ValueError("A dose must be more than 0 g.")
    return volume_ml * concentration_percent / dose_g


def per_kg(rate_ml_per_h: Decimal, weight_kg: Decimal) -> Decimal:
    """mL/kg/h. Raises ValueError for a weight that is not above 0."""
    if weight_kg <= 0:
        raise ValueError("A weight must be more than 0 kg.")
    return rate_ml_per_h / weight_kg


def next_reasons(last: RateReason | None) -> tuple[RateReason, ...]:
    """The reasons that a step after `last` can have; None stands for an infusion without steps."""
    return _FOLLOWING[last]


def problems(steps: Sequence[Step]) -> list[str]:
    """Sentences for the nurse about steps that cannot be so: rates first, then the order; empty when all is well."""
    ordered = _in_order(steps)
    start = next((n for n, step in enumerate(ordered) if step.reason == RateReason.START), None)
    found = [sentence for step in ordered if (sentence := _wrong_rate(step))]
    if start is None:
        return ["The first step must be the start of the infusion.", *found] if ordered else []
    found += [f"{_clock(step)} lies before the start at {_clock(ordered[start])}." for step in ordered[:start]]
    return found + [said for before, step in pairwise(ordered[start:]) if (said := _wrong_order(before, step))]


def summarise(
    steps: Sequence[Step],
    *,
    dose_g: Decimal,
    weight_kg: Decimal | None,
    concentration_percent: Decimal | None,
    until: datetime,
) -> Summary:
    """Everything that a page shows about the flow. Steps after `until` are left out; a stop at it makes the rate 0."""
    steps = [step for step in steps if _utc(step.at) <= _utc(until)]
    volume, current, highest, mean = (
        volume_ml(steps, until),
        current_rate(steps, until),
        maximum_rate(steps),
        mean_rate(steps, until),
    )
    return Summary(
        volume_ml=volume,
        planned_ml=volume_for_dose(dose_g, concentration_percent) if concentration_percent else None,
        percent_of_dose=percent_of_dose(volume, dose_g, concentration_percent) if concentration_percent else None,
        current_rate_ml_per_h=current,
        maximum_rate_ml_per_h=highest,
        mean_rate_ml_per_h=mean,
        mean_running_rate_ml_per_h=mean_running_rate(steps, until),
        current_rate_ml_per_kg_h=per_kg(current, weight_kg) if weight_kg else None,
        maximum_rate_ml_per_kg_h=per_kg(highest, weight_kg) if weight_kg else None,
        mean_rate_ml_per_kg_h=per_kg(mean, weight_kg) if weight_kg and mean is not None else None,
        duration=duration(steps, until),
        running_time=running_time(steps, until),
    )


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


def _microseconds(span: timedelta) -> Decimal:
    return Decimal(span // _MICROSECOND)


def _rate(step: Step | None) -> Decimal:
    return ZERO if step is None or step.reason in STILL else step.rate_ml_per_h


def _in_order(steps: Sequence[Step]) -> list[Step]:
    """By time; at one time the start comes first and the stop last, whatever was typed first."""
    return sorted(
        steps, key=lambda step: (_utc(step.at), step.reason != RateReason.START, step.reason == RateReason.STOP)
    )


def _until_stop(steps: Sequence[Step]) -> list[Step]:
    """In order, up to and with the first stop."""
    ordered = _in_order(steps)
    stop = next((n for n, step in enumerate(ordered) if step.reason == RateReason.STOP), len(ordered))
    return ordered[: stop + 1]


def _stretches(steps: Sequence[Step], until: datetime) -> list[tuple[timedelta, Step]]:
    """How long each step held, up to `until`."""
    ordered, limit = _until_stop(steps), _utc(until)
    ends = [*(min(_utc(step.at), limit) for step in ordered[1:]), limit]
    return [(end - _utc(step.at), step) for step, end in zip(ordered, ends, strict=False) if _utc(step.at) < limit]


def _rate_times_microseconds(steps: Sequence[Step], until: datetime) -> Decimal:
    """The area under the rates, so that a single division follows: a mean is then never above the maximum."""
    return sum((_rate(step) * _microseconds(span) for span, step in _stretches(steps, until)), ZERO)


def _mean(steps: Sequence[Step], until: datetime, over: timedelta) -> Decimal | None:
    return _rate_times_microseconds(steps, until) / _microseconds(over) if over else None


def _plain(number: Decimal) -> str:
    """Without zeros at the end."""
    return format(number.normalize(), "f")


def _clock(step: Step) -> str:
    return f"{step.at:%H:%M}"


def _wrong_rate(step: Step) -> str:
    label, rate = LABELS[RateReason][step.reason], _plain(step.rate_ml_per_h)
    if step.reason in STILL and step.rate_ml_per_h != 0:
        return f"{label} at {_clock(step)} has a rate of {rate} mL/h: it must be 0."
    if step.reason not in STILL and step.rate_ml_per_h <= 0:
        return f"{label} at {_clock(step)} needs a rate above 0 mL/h. To hold the infusion, choose Pause."
    return ""


def _wrong_order(before: Step, step: Step) -> str:
    """What is wrong about a step after the one before it; empty when nothing is."""
    if _utc(before.at) == _utc(step.at):
        return f"Two steps have the time {_clock(step)}. Keep one of them, or correct a time."
    if step.reason in next_reasons(before.reason):
        return _wrong_direction(before, step)
    if before.reason == RateReason.STOP:
        return f"The infusion was stopped at {_clock(before)}, but a step follows at {_clock(step)}."
    if step.reason == RateReason.START:
        return f"The infusion starts a second time at {_clock(step)}. Choose Step up, Slow or Resume."
    if before.reason == RateReason.PAUSE:
        return f"The infusion is paused at {_clock(step)}: only Resume or Stop can follow a pause."
    return f"The infusion resumes at {_clock(step)}, but it was not paused."


def _wrong_direction(before: Step, step: Step) -> str:
    rate, rate_before_it = _plain(step.rate_ml_per_h), _plain(before.rate_ml_per_h)
    if step.reason == RateReason.STEP_UP and step.rate_ml_per_h <= before.rate_ml_per_h:
        return f"The step up at {_clock(step)} to {rate} mL/h is not above the {rate_before_it} mL/h before it."
    if step.reason == RateReason.SLOW and step.rate_ml_per_h >= before.rate_ml_per_h:
        return f"Slow at {_clock(step)} to {rate} mL/h is not below the {rate_before_it} mL/h before it."
    return ""
