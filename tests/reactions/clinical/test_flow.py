"""Volumes, rates and times out of rate steps, and the sequences that cannot be."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactions.clinical.flow import (
    Step,
    Summary,
    current_rate,
    duration,
    maximum_rate,
    mean_rate,
    mean_running_rate,
    next_reasons,
    per_kg,
    percent_of_dose,
    problems,
    rate_at,
    rate_at_onset,
    rate_before,
    running_time,
    summarise,
    volume_at,
    volume_for_dose,
    volume_ml,
)
from reactions.vocabulary import RateReason

NINE = datetime(2026, 5, 1, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
MICROSECOND = timedelta(microseconds=1)
TINY = Decimal("1e-20")
START, STEP_UP, SLOW, PAUSE, RESUME, STOP = RateReason


def step(minutes: int, rate: object, reason: RateReason) -> Step:
    return Step(NINE + minutes * MINUTE, Decimal(str(rate)), reason)


def after(minutes: float) -> datetime:
    return NINE + minutes * MINUTE


# 42 mL/h for 30 min, 168 for 60, none for 30, 84 for 120: 21 + 168 + 0 + 168 = 357 mL in 240 min, of which 210 ran.
USUAL = (
    step(0, 42, START),
    step(30, 168, STEP_UP),
    step(90, 0, PAUSE),
    step(120, 84, RESUME),
    step(240, 0, STOP),
)
END = after(240)


@pytest.mark.parametrize(
    ("minutes", "volume", "rate", "rate_up_to_it"),
    [
        (-1, 0, 0, 0),
        (0, 0, 42, 0),
        (10, 7, 42, 42),
        (30, 21, 168, 42),
        (31, "23.8", 168, 168),
        (90, 189, 0, 168),
        (105, 189, 0, 0),
        (120, 189, 84, 0),
        (121, "190.4", 84, 84),
        (240, 357, 0, 84),
        (241, 357, 0, 0),
        (9999, 357, 0, 0),
    ],
)
def test_volume_and_rates_at_a_moment(minutes: int, volume: object, rate: int, rate_up_to_it: int) -> None:
    assert volume_ml(USUAL, after(minutes)) == Decimal(str(volume))
    assert volume_at(USUAL, after(minutes)) == volume_at(USUAL, after(minutes), END) == Decimal(str(volume))
    assert current_rate(USUAL, after(minutes)) == rate_at(USUAL, after(minutes)) == rate
    assert rate_at(USUAL, after(minutes), END) == rate
    assert rate_before(USUAL, after(minutes)) == rate_before(USUAL, after(minutes), END) == rate_up_to_it


@pytest.mark.parametrize(
    ("minutes", "lasted", "ran"),
    [(-1, 0, 0), (0, 0, 0), (1, 1, 1), (90, 90, 90), (100, 100, 90), (121, 121, 91), (240, 240, 210), (300, 240, 210)],
)
def test_times_with_and_without_pauses(minutes: int, lasted: int, ran: int) -> None:
    assert duration(USUAL, after(minutes)) == lasted * MINUTE
    assert running_time(USUAL, after(minutes)) == ran * MINUTE


def test_mean_rates_with_and_without_pauses() -> None:
    assert mean_rate(USUAL, END) == mean_rate(USUAL, after(999)) == Decimal("89.25")
    assert mean_running_rate(USUAL, END) == Decimal(102)
    assert mean_rate(USUAL, after(30)) == mean_running_rate(USUAL, after(30)) == 42
    assert maximum_rate(USUAL) == 168


def test_no_mean_before_any_time_has_passed() -> None:
    assert mean_rate(USUAL, NINE) is mean_running_rate(USUAL, NINE) is None
    assert mean_rate((), NINE) is mean_running_rate((), NINE) is None
    paused = (step(0, 0, PAUSE),)
    assert (mean_rate(paused, after(5)), mean_running_rate(paused, after(5))) == (0, None)


def test_a_slow_drop_runs_too() -> None:
    steps = (step(0, "0.5", START),)
    assert running_time(steps, after(60)) == timedelta(hours=1)
    assert mean_running_rate(steps, after(60)) == volume_ml(steps, after(60)) == Decimal("0.5")
    assert per_kg(Decimal("0.5"), Decimal("0.5")) == 1


def test_without_steps_nothing_runs() -> None:
    assert (volume_ml((), NINE), current_rate((), NINE), rate_before((), NINE), maximum_rate(())) == (0, 0, 0, 0)
    assert (duration((), NINE), running_time((), NINE)) == (timedelta(0), timedelta(0))


@pytest.mark.parametrize("reason", [PAUSE, STOP])
def test_a_pause_and_a_stop_run_at_0_whatever_they_carry(reason: RateReason) -> None:
    steps = (step(0, 60, START), step(60, 999, reason))
    assert volume_ml(steps, after(120)) == maximum_rate(steps) == 60
    assert current_rate(steps, after(120)) == rate_before(steps, after(120)) == 0


def test_what_follows_a_stop_is_left_out() -> None:
    steps = (*USUAL, step(300, 999, STEP_UP), step(400, 0, STOP))
    assert volume_ml(steps, after(500)) == 357
    assert duration(steps, after(500)) == timedelta(hours=4)
    assert maximum_rate(steps) == 168
    assert current_rate(steps, after(350)) == rate_before(steps, after(350)) == 0


def test_an_onset_after_the_end_when_no_stop_was_recorded() -> None:
    steps = (step(0, 60, START),)
    onset, ended = after(2880), after(240)
    assert volume_at(steps, onset, ended) == 240
    assert rate_at(steps, onset, ended) == rate_before(steps, onset, ended) == 0
    assert volume_at(steps, onset) == 2880
    assert rate_at(steps, onset) == 60


@pytest.mark.parametrize(
    ("seconds", "rate"), [(-60, 0), (-1, 0), (0, 42), (59, 42), (60, 42), (30 * 60, 42), (30 * 60 + 1, 84)]
)
def test_an_onset_in_the_minute_of_the_start_had_the_first_rate(seconds: int, rate: int) -> None:
    steps = (step(30, 84, STEP_UP), step(0, 42, START))
    assert rate_at_onset(steps, NINE + timedelta(seconds=seconds)) == rate


def test_an_onset_to_the_minute_of_a_start_with_seconds_had_the_first_rate() -> None:
    began = Step(NINE + timedelta(seconds=40), Decimal(42), START)
    assert (rate_at_onset((began,), NINE), rate_before((began,), NINE)) == (42, 0)
    assert rate_at_onset((), NINE) == rate_at_onset((began,), after(9), after(5)) == 0


def test_the_end_itself_belongs_to_what_ran_before_it() -> None:
    steps, ended = (step(0, 60, START),), after(240)
    assert (rate_at(steps, ended - MICROSECOND, ended), rate_at(steps, ended, ended)) == (60, 0)
    assert (rate_before(steps, ended, ended), rate_before(steps, ended + MICROSECOND, ended)) == (60, 0)
    assert volume_at(steps, ended - MINUTE, ended) == 239


def test_the_clocks_may_change_during_an_infusion() -> None:
    new_york = ZoneInfo("America/New_York")
    started = datetime(2026, 11, 1, 0, 30, tzinfo=new_york)
    second = datetime(2026, 11, 1, 1, 30, fold=1, tzinfo=new_york)
    first = datetime(2026, 11, 1, 1, 30, fold=0, tzinfo=new_york)
    steps = (Step(started, Decimal(60), START), Step(second, Decimal(120), STEP_UP))
    until = datetime(2026, 11, 1, 2, 30, tzinfo=new_york)
    assert duration(steps, until) == timedelta(hours=3)
    assert volume_ml(steps, until) == 240
    assert current_rate(steps, first) == rate_before(steps, second) == rate_at(steps, first, second) == 60
    assert rate_before(steps, until, second) == 0
    assert rate_before(steps, second, first) == 0
    assert volume_at(steps, second, first) == volume_at(steps, first, second) == 60
    assert summarise(
        (replace(steps[0], at=second), Step(first, Decimal(30), START)),
        dose_g=Decimal(1),
        weight_kg=None,
        concentration_percent=None,
        until=first,
    ).maximum_rate_ml_per_h == Decimal(30)
    assert problems(steps) == []
    assert problems((Step(first, Decimal(60), START), Step(second, Decimal(120), STEP_UP))) == []


@pytest.mark.parametrize(
    ("dose", "percent", "volume"), [(70, 10, 700), (35, 5, 700), ("0.1", 10, 1), (1, 20, 5), (2, "0.1", 2000)]
)
def test_a_dose_as_a_volume_and_back(dose: object, percent: object, volume: int) -> None:
    assert volume_for_dose(Decimal(str(dose)), Decimal(str(percent))) == volume
    assert percent_of_dose(Decimal(volume), Decimal(str(dose)), Decimal(str(percent))) == 100
    assert percent_of_dose(Decimal(volume) / 4, Decimal(str(dose)), Decimal(str(percent))) == 25


def test_the_label_rate_of_a_patient_of_70_kg() -> None:
    """70 kg, 2 g/kg over 2 days of 10 %: 700 mL a day, at 0.04 mL/kg/min 168 mL/h, which takes 4 h 10 min."""
    assert per_kg(Decimal(168), Decimal(70)) == Decimal("2.4") == Decimal("0.04") * 60
    steps = (step(0, 168, START),)
    assert volume_ml(steps, after(250)) == volume_for_dose(Decimal(70), Decimal(10)) == 700


@pytest.mark.parametrize("wrong", [Decimal(0), Decimal("-0.1")])
def test_amounts_that_cannot_be_are_refused(wrong: Decimal) -> None:
    with pytest.raises(ValueError, match=r"^A concentration must be more than 0 %\.$"):
        volume_for_dose(Decimal(70), wrong)
    with pytest.raises(ValueError, match=r"^A dose must be more than 0 g\.$"):
        percent_of_dose(Decimal(70), wrong, Decimal(10))
    with pytest.raises(ValueError, match=r"^A weight must be more than 0 kg\.$"):
        per_kg(Decimal(70), wrong)


@pytest.mark.parametrize(
    ("last", "following"),
    [
        (None, {START}),
        (START, {STEP_UP, SLOW, PAUSE, STOP}),
        (STEP_UP, {STEP_UP, SLOW, PAUSE, STOP}),
        (SLOW, {STEP_UP, SLOW, PAUSE, STOP}),
        (RESUME, {STEP_UP, SLOW, PAUSE, STOP}),
        (PAUSE, {RESUME, STOP}),
        (STOP, set()),
    ],
)
def test_what_can_follow_what(last: RateReason | None, following: set[RateReason]) -> None:
    assert set(next_reasons(last)) == following


@pytest.mark.parametrize(
    "steps",
    [
        (),
        USUAL,
        USUAL[:1],
        USUAL[:3],
        (step(0, 42, START), step(1, "42.1", STEP_UP), step(2, "42", SLOW), step(3, 0, STOP)),
        (step(0, 42, START), step(1, 0, PAUSE), step(2, 0, STOP)),
        (step(0, 42, START), step(1, 0, PAUSE), step(2, 42, RESUME), step(3, 43, STEP_UP)),
        (step(0, 42, START), step(1, 0, PAUSE), step(2, 80, RESUME), step(3, 79, SLOW)),
    ],
)
def test_sequences_that_can_be(steps: tuple[Step, ...]) -> None:
    assert problems(steps) == []
    assert problems(steps[::-1]) == []


FIRST = "The first step must be the start of the infusion."


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([step(0, 42, STEP_UP)], [FIRST]),
        ([step(0, 42, STEP_UP), step(5, 42, STEP_UP)], [FIRST]),
        ([step(0, 42, START), step(-5, 0, PAUSE)], ["08:55 lies before the start at 09:00."]),
        (
            [step(0, 42, START), step(-5, 60, STEP_UP), step(-6, 60, SLOW)],
            ["08:54 lies before the start at 09:00.", "08:55 lies before the start at 09:00."],
        ),
        (
            [step(0, 42, START), step(5, 60, STEP_UP), step(5, 70, STEP_UP)],
            ["Two steps have the time 09:05. Keep one of them, or correct a time."],
        ),
        (
            [step(0, 42, STEP_UP), step(0, 42, START)],
            ["Two steps have the time 09:00. Keep one of them, or correct a time."],
        ),
        (
            [step(5, 0, STOP), step(0, 42, START), step(5, 0, PAUSE)],
            ["Two steps have the time 09:05. Keep one of them, or correct a time."],
        ),
        (
            [step(0, 42, START), step(5, 0, STOP), step(5, 60, STEP_UP), step(6, 70, STEP_UP)],
            [
                "Two steps have the time 09:05. Keep one of them, or correct a time.",
                "The infusion was stopped at 09:05, but a step follows at 09:06.",
            ],
        ),
        ([step(0, 42, START), step(5, 42, RESUME)], ["The infusion resumes at 09:05, but it was not paused."]),
        (
            [step(0, 42, START), step(5, 42, STEP_UP)],
            ["The step up at 09:05 to 42 mL/h is not above the 42 mL/h before it."],
        ),
        (
            [step(0, 42, START), step(5, "41.50", STEP_UP)],
            ["The step up at 09:05 to 41.5 mL/h is not above the 42 mL/h before it."],
        ),
        ([step(0, 42, START), step(5, 42, SLOW)], ["Slow at 09:05 to 42 mL/h is not below the 42 mL/h before it."]),
        ([step(0, 40, START), step(5, 100, SLOW)], ["Slow at 09:05 to 100 mL/h is not below the 40 mL/h before it."]),
        (
            [step(0, 42, START), step(5, 0, PAUSE), step(6, 60, STEP_UP)],
            ["The infusion is paused at 09:06: only Resume or Stop can follow a pause."],
        ),
        (
            [step(0, 42, START), step(5, 0, PAUSE), step(6, 0, PAUSE)],
            ["The infusion is paused at 09:06: only Resume or Stop can follow a pause."],
        ),
        (
            [step(0, 42, START), step(5, 42, START)],
            ["The infusion starts a second time at 09:05. Choose Step up, Slow or Resume."],
        ),
        (
            [step(0, 42, START), step(5, 0, PAUSE), step(6, 42, START)],
            ["The infusion starts a second time at 09:06. Choose Step up, Slow or Resume."],
        ),
        (
            [step(0, 42, START), step(5, 0, STOP), step(6, 42, RESUME)],
            ["The infusion was stopped at 09:05, but a step follows at 09:06."],
        ),
        (
            [step(0, 42, START), step(5, 0, STOP), step(6, 42, START)],
            ["The infusion was stopped at 09:05, but a step follows at 09:06."],
        ),
        ([step(0, 42, START), step(5, 5, PAUSE)], ["Pause at 09:05 has a rate of 5 mL/h: it must be 0."]),
        ([step(0, 42, START), step(5, "0.1", STOP)], ["Stop at 09:05 has a rate of 0.1 mL/h: it must be 0."]),
        (
            [step(0, 0, START)],
            ["Start at 09:00 needs a rate above 0 mL/h. To hold the infusion, choose Pause."],
        ),
        (
            [step(0, 42, START), step(5, -1, SLOW)],
            ["Slow at 09:05 needs a rate above 0 mL/h. To hold the infusion, choose Pause."],
        ),
        (
            [step(0, 0, RESUME)],
            [FIRST, "Resume at 09:00 needs a rate above 0 mL/h. To hold the infusion, choose Pause."],
        ),
    ],
)
def test_sequences_that_cannot_be(steps: list[Step], said: list[str]) -> None:
    assert problems(steps) == said


def test_sentences_show_the_zone_in_which_the_steps_are_given() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    steps = [Step(NINE.astimezone(berlin), Decimal(42), START), Step(after(5).astimezone(berlin), Decimal(1), STEP_UP)]
    assert problems(steps) == ["The step up at 11:05 to 1 mL/h is not above the 42 mL/h before it."]


def test_a_summary_of_a_running_infusion() -> None:
    summary = summarise(
        USUAL, dose_g=Decimal(70), weight_kg=Decimal(70), concentration_percent=Decimal(10), until=after(60)
    )
    assert summary == Summary(
        volume_ml=Decimal(105),
        planned_ml=Decimal(700),
        percent_of_dose=Decimal(15),
        current_rate_ml_per_h=Decimal(168),
        maximum_rate_ml_per_h=Decimal(168),
        mean_rate_ml_per_h=Decimal(105),
        mean_running_rate_ml_per_h=Decimal(105),
        current_rate_ml_per_kg_h=Decimal("2.4"),
        maximum_rate_ml_per_kg_h=Decimal("2.4"),
        mean_rate_ml_per_kg_h=Decimal("1.5"),
        duration=timedelta(hours=1),
        running_time=timedelta(hours=1),
    )


def test_a_summary_of_an_infusion_that_is_over() -> None:
    summary = summarise(
        USUAL, dose_g=Decimal("35.7"), weight_kg=Decimal(84), concentration_percent=Decimal(10), until=END
    )
    assert summary == Summary(
        volume_ml=Decimal(357),
        planned_ml=Decimal(357),
        percent_of_dose=Decimal(100),
        current_rate_ml_per_h=Decimal(0),
        maximum_rate_ml_per_h=Decimal(168),
        mean_rate_ml_per_h=Decimal("89.25"),
        mean_running_rate_ml_per_h=Decimal(102),
        current_rate_ml_per_kg_h=Decimal(0),
        maximum_rate_ml_per_kg_h=Decimal(2),
        mean_rate_ml_per_kg_h=Decimal("1.0625"),
        duration=timedelta(hours=4),
        running_time=timedelta(minutes=210),
    )


def test_a_summary_without_a_weight_a_label_or_a_step() -> None:
    bare: dict[str, Any] = {"dose_g": Decimal(70), "weight_kg": None, "concentration_percent": None}
    summary = summarise(USUAL, **bare, until=after(10))
    assert (summary.planned_ml, summary.percent_of_dose) == (None, None)
    assert (
        summary.current_rate_ml_per_kg_h,
        summary.maximum_rate_ml_per_kg_h,
        summary.mean_rate_ml_per_kg_h,
    ) == (None, None, None)
    assert (summary.volume_ml, summary.maximum_rate_ml_per_h) == (7, 42)
    known = bare | {"weight_kg": Decimal(70)}
    assert summarise((), **known, until=NINE).mean_rate_ml_per_kg_h is None
    assert summarise(USUAL, **known, until=NINE).current_rate_ml_per_h == 42


reasons = st.sampled_from([START, STEP_UP, SLOW, PAUSE, RESUME])
rates = st.decimals(min_value="0.1", max_value=600, places=1)
sequences = st.lists(st.builds(step, st.integers(0, 600), rates, reasons), max_size=8, unique_by=lambda one: one.at)
moments = st.integers(-60, 700).map(after)


@given(sequences, moments, moments)
def test_volume_never_falls_with_time(steps: list[Step], one: datetime, other: datetime) -> None:
    assert 0 <= volume_ml(steps, min(one, other)) <= volume_ml(steps, max(one, other))


@given(sequences, st.integers(0, 600).map(after), rates)
def test_volume_adds_up_over_a_split(steps: list[Step], split: datetime, rate: Decimal) -> None:
    until = after(700)
    going_on = Step(split, current_rate(steps, split), STEP_UP)
    later = [going_on, *(one for one in steps if one.at > split)]
    parts = volume_ml([one for one in steps if one.at < split], split) + volume_ml(later, until)
    assert abs(parts - volume_ml(steps, until)) < TINY


@given(sequences, moments)
def test_means_lie_between_0_and_the_maximum(steps: list[Step], until: datetime) -> None:
    mean, running = mean_rate(steps, until), mean_running_rate(steps, until)
    assert mean is None or 0 <= mean <= maximum_rate(steps)
    assert running is None or (mean is not None and mean <= running <= maximum_rate(steps))
    assert running_time(steps, until) <= duration(steps, until)


@given(sequences, st.integers(0, 600), rates)
def test_a_pause_adds_no_volume(steps: list[Step], minutes: int, rate: Decimal) -> None:
    before = [one for one in steps if one.at < after(minutes)]
    paused = [*before, step(minutes, rate, PAUSE)]
    assert volume_ml(paused, after(900)) == volume_ml(before, after(minutes))


@given(sequences.flatmap(lambda steps: st.tuples(st.just(steps), st.permutations(steps))), moments)
def test_the_order_of_typing_does_not_matter(both: tuple[list[Step], list[Step]], until: datetime) -> None:
    typed, shuffled = both
    assert volume_ml(typed, until) == volume_ml(shuffled, until)
    assert current_rate(typed, until) == current_rate(shuffled, until)
    assert problems(typed) == problems(shuffled)


@given(st.data())
def test_following_the_offered_reasons_never_makes_a_problem(data: st.DataObject) -> None:
    steps: list[Step] = []
    for minutes in range(data.draw(st.integers(0, 8))):
        offered = next_reasons(steps[-1].reason if steps else None)
        if not offered:
            break
        reason = data.draw(st.sampled_from(offered))
        last = steps[-1].rate_ml_per_h if steps else Decimal(64)
        rate = {STEP_UP: last + 1, SLOW: last / 2, PAUSE: 0, STOP: 0}.get(reason, 64)
        steps.append(step(minutes, rate, reason))
    assert problems(steps) == []
