"""Which vital signs are expected, done, due and missed, and which values are slips."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactions.clinical.vitals_schedule import (
    SIGNS,
    Moment,
    MomentState,
    Occasion,
    Schedule,
    VitalsPlan,
    due,
    unlikely_vitals,
    why_impossible_moment,
    why_impossible_vitals,
)

START = datetime(2026, 5, 1, 9, tzinfo=UTC)
SECOND = timedelta(seconds=1)
USUAL = Schedule()
DONE, DUE, MISSED, UPCOMING = MomentState


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def plan(
    now: float,
    measured: tuple[float, ...] = (),
    *,
    ended: float | None = None,
    changes: tuple[float, ...] = (),
    schedule: Schedule = USUAL,
    late: bool = False,
) -> VitalsPlan:
    end = None if ended is None else at(ended)
    moments = [at(one) for one in changes], [at(one) for one in measured]
    return due(schedule, START, end, *moments, at(now), late_baseline=late)


def minutes(moment: datetime) -> float:
    return (moment - START).total_seconds() / 60


def expected(found: VitalsPlan) -> list[tuple[str, float, float, float]]:
    return [(one.label, minutes(one.due_at), minutes(one.opens_at), minutes(one.closes_at)) for one in found.moments]


def states(found: VitalsPlan) -> dict[float, MomentState]:
    return {minutes(one.due_at): one.state for one in found.moments}


def done(found: VitalsPlan) -> dict[tuple[Occasion, float], float]:
    return {(one.occasion, minutes(one.due_at)): minutes(one.measured_at) for one in found.moments if one.measured_at}


def test_the_default_follows_the_protocols_that_were_seen() -> None:
    assert Schedule(60, 15, 15, 60, (0, 30, 60), 10) == USUAL


def test_occasions_and_states_are_named_for_pages() -> None:
    assert [*Occasion] == ["baseline", "first", "rate_change", "routine", "after_end"]
    assert [*MomentState] == ["done", "due", "missed", "upcoming"]


def test_what_is_expected_of_an_infusion_that_is_over() -> None:
    assert expected(plan(999, ended=200, changes=(30, 200, 0, -5, 45, 201))) == [
        ("Before the start", 0, -60, 0),
        ("15 min after the start", 15, 5, 25),
        ("Rate change", 30, 20, 45),
        ("Rate change", 45, 35, 60),
        ("Every 60 min", 75, 65, 85),
        ("Every 60 min", 135, 125, 145),
        ("Every 60 min", 195, 185, 205),
        ("At the end", 200, 190, 210),
        ("30 min after the end", 230, 220, 240),
        ("60 min after the end", 260, 250, 270),
    ]


def test_every_setting_of_a_clinic_is_followed() -> None:
    schedule = Schedule(
        baseline_within_minutes=20,
        first_after_minutes=10,
        rate_change_within_minutes=7,
        every_minutes=25,
        after_end_minutes=(45,),
        tolerance_minutes=3,
    )
    found = plan(999, ended=70, changes=(50,), schedule=schedule)
    assert expected(found) == [
        ("Before the start", 0, -20, 0),
        ("10 min after the start", 10, 7, 13),
        ("Every 25 min", 35, 32, 38),
        ("Rate change", 50, 47, 57),
        ("Every 25 min", 60, 57, 63),
        ("45 min after the end", 115, 112, 118),
    ]
    assert [one.occasion for one in found.moments] == [
        "baseline",
        "first",
        "routine",
        "rate_change",
        "routine",
        "after_end",
    ]


@pytest.mark.parametrize(
    ("ended", "within"),
    [(15, []), (15.1, [15]), (75, [15]), (75.1, [15, 75])],
)
def test_sets_at_or_after_the_end_are_not_expected(ended: float, within: list[float]) -> None:
    found = plan(999, ended=ended)
    assert [minutes(one.due_at) for one in found.moments if one.occasion in ("first", "routine")] == within


@pytest.mark.parametrize("change", [0, 60])
def test_start_and_stop_are_no_rate_changes(change: float) -> None:
    def changes(moment: float) -> int:
        found = plan(999, ended=60, changes=(moment,))
        return sum(one.occasion == "rate_change" for one in found.moments)

    assert changes(change) == 0
    assert changes(abs(change - 0.1)) == 1


@pytest.mark.parametrize(
    ("now", "routine"),
    [(-30, []), (14, []), (15, [75]), (74, [75]), (75, [75, 135]), (134, [75, 135]), (135, [75, 135, 195])],
)
def test_a_running_infusion_shows_the_next_routine_set_and_no_more(now: float, routine: list[float]) -> None:
    found = plan(now)
    assert [minutes(one.due_at) for one in found.moments if one.occasion == "routine"] == routine
    assert not any(one.occasion == "after_end" for one in found.moments)


def test_an_infusion_that_was_never_closed_is_watched_for_24_hours() -> None:
    hourly = Schedule(first_after_minutes=60)
    found = plan(100_000, schedule=hourly)
    assert minutes(found.moments[-1].due_at) == 24 * 60
    assert len(found.moments) == 2 + 23
    assert found.next_due is None
    assert not found.is_late


@pytest.mark.parametrize(
    ("now", "baseline", "first"),
    [
        (-61, UPCOMING, UPCOMING),
        (-60, DUE, UPCOMING),
        (0, DUE, UPCOMING),
        (0.1, MISSED, UPCOMING),
        (4.9, MISSED, UPCOMING),
        (5, MISSED, DUE),
        (25, MISSED, DUE),
        (25.1, MISSED, MISSED),
    ],
)
def test_from_upcoming_to_due_to_missed(now: float, baseline: MomentState, first: MomentState) -> None:
    found = plan(now)
    assert [one.state for one in found.moments[:2]] == [baseline, first]
    assert [one.missed_since for one in found.moments[:2]] == [
        at(0) if baseline == MISSED else None,
        at(25) if first == MISSED else None,
    ]
    assert found.missed == tuple(one for one in found.moments if one.state == MISSED)


@pytest.mark.parametrize(
    ("measured", "satisfied"),
    [
        (-60.1, None),
        (-60, ("baseline", 0)),
        (0, ("baseline", 0)),
        (0.1, None),
        (4.9, None),
        (5, ("first", 15)),
        (25, ("first", 15)),
        (25.1, None),
        (29.9, None),
        (30, ("rate_change", 40)),
        (55, ("rate_change", 40)),
        (55.1, None),
        (64.9, None),
        (65, ("routine", 75)),
        (85, ("routine", 75)),
        (85.1, None),
    ],
)
def test_each_window_has_two_sides(measured: float, satisfied: tuple[Occasion, float] | None) -> None:
    assert done(plan(90, (measured,), changes=(40,))) == ({satisfied: measured} if satisfied else {})


def test_a_measurement_serves_the_closest_set_alone() -> None:
    assert done(plan(90, (37,), changes=(30, 45))) == {("rate_change", 30): 37}
    assert done(plan(90, (38,), changes=(30, 45))) == {("rate_change", 45): 38}
    assert done(plan(90, (38, 44), changes=(30, 45))) == {("rate_change", 30): 38, ("rate_change", 45): 44}


def test_of_equally_close_sets_and_measurements_the_earlier_is_matched() -> None:
    assert done(plan(90, (37.5,), changes=(30, 45))) == {("rate_change", 30): 37.5}
    assert done(plan(90, (35, 45), changes=(40,))) == {("rate_change", 40): 35}
    assert done(plan(90, (45, 35, 35), changes=(40,))) == {("rate_change", 40): 35}


def test_the_baseline_closest_to_the_start_is_taken() -> None:
    assert done(plan(0, (-50, -5))) == {("baseline", 0): -5}


def test_one_measurement_serves_sets_that_coincide() -> None:
    assert done(plan(90, (74,), changes=(73,))) == {("rate_change", 73): 74, ("routine", 75): 74}
    assert done(plan(90, (74,), changes=(70,))) == {("rate_change", 70): 74, ("routine", 75): 74}
    assert done(plan(90, (74,), changes=(69.9,))) == {("routine", 75): 74}
    assert done(plan(300, (240,), ended=240, changes=(236,))) == {("rate_change", 236): 240, ("after_end", 240): 240}


def test_sets_coincide_with_the_first_of_them_and_not_in_a_chain() -> None:
    found = plan(90, (44,), changes=(40, 44, 48))
    assert done(found) == {("rate_change", 40): 44, ("rate_change", 44): 44}
    assert states(found)[48] == MISSED


def test_a_measurement_serves_only_those_coinciding_sets_whose_window_it_is_in() -> None:
    found = plan(90, (28,), changes=(15,))
    assert done(found) == {("rate_change", 15): 28}
    assert [one.occasion for one in found.missed] == ["baseline", "first", "routine"]


def test_coinciding_sets_may_take_two_measurements() -> None:
    assert done(plan(90, (24, 14), changes=(15,))) == {("first", 15): 14, ("rate_change", 15): 14}
    assert done(plan(90, (9, 7), changes=(19,))) == {("first", 15): 9, ("rate_change", 19): 9}


def test_what_was_measured_after_now_does_not_count_yet() -> None:
    assert done(plan(14, (15,))) == {}
    assert done(plan(15, (15,))) == {("first", 15): 15}


@pytest.mark.parametrize(
    ("now", "measured", "next_due"),
    [
        (-70, (), 0),
        (-30, (), 0),
        (-30, (-40,), 15),
        (0, (), 0),
        (1, (), 15),
        (20, (), 15),
        (26, (), 75),
        (15, (15,), 75),
        (75, (15, 75), 135),
    ],
)
def test_the_next_set(now: float, measured: tuple[float, ...], next_due: float) -> None:
    found = plan(now, measured).next_due
    assert found is not None
    assert minutes(found.due_at) == next_due


def baseline(found: VitalsPlan) -> Moment:
    (only,) = (one for one in found.moments if one.occasion == "baseline")
    return only


@pytest.mark.parametrize(
    ("now", "measured", "state"),
    [
        (0.1, (), DUE),
        (5, (), DUE),
        (5.1, (), MISSED),
        (5.1, (-61,), MISSED),
        (5.1, (0.1,), DONE),
        (5.1, (5,), DONE),
        (6, (5.1,), MISSED),
        (5.1, (-60,), DONE),
    ],
)
def test_a_forgotten_baseline_may_be_taken_in_the_first_minutes(
    now: float, measured: tuple[float, ...], state: MomentState
) -> None:
    found = plan(now, measured, late=True)
    assert baseline(found).state == state
    assert (baseline(found) in found.missed) is (state == MISSED)
    assert (found.next_due == baseline(found)) is (state == DUE)
    assert found.is_late is (state == MISSED and not any(minute > 0 for minute in measured))
    assert {one.occasion for one in found.moments if one.measured_at} == ({"baseline"} if state == DONE else set()) | (
        {"first"} if measured == (5.1,) else set()
    )


@pytest.mark.parametrize(
    ("first", "tolerance", "minutes_late"),
    [(15, 10, 5), (12, 10, 2), (10, 10, 0), (5, 10, 0), (20, 10, 10), (120, 10, 10), (120, 30, 30), (15, 0, 0)],
)
def test_a_baseline_may_be_as_late_as_other_sets_until_the_first_set_can_be_taken(
    first: int, tolerance: int, minutes_late: int
) -> None:
    schedule = replace(USUAL, first_after_minutes=first, tolerance_minutes=tolerance)
    assert minutes(baseline(plan(999, ended=300, schedule=schedule, late=True)).closes_at) == minutes_late


def test_a_baseline_in_time_leaves_what_is_measured_later_to_other_sets() -> None:
    assert done(plan(90, (-5, 2), changes=(6,), late=True)) == {("baseline", 0): -5, ("rate_change", 6): 2}
    assert done(plan(90, (2,), changes=(6,), late=True)) == {("baseline", 0): 2}


def test_only_the_baseline_may_be_taken_later() -> None:
    usual, longer = (expected(plan(999, ended=200, changes=(30,), late=late)) for late in (False, True))
    assert longer[0] == ("Before the start", 0, -60, 5)
    assert longer[1:] == usual[1:]


def test_nothing_is_due_when_the_watch_is_over() -> None:
    assert plan(310, ended=240).next_due is not None
    assert plan(310.1, ended=240).next_due is None


@pytest.mark.parametrize(
    ("now", "measured", "ended", "late"),
    [
        (-10, (), None, False),
        (0, (), None, False),
        (0.1, (), None, True),
        (0.1, (-61,), None, True),
        (0.1, (-60,), None, False),
        (10, (6,), None, False),
        (25, (-5,), None, False),
        (25.1, (-5,), None, True),
        (26, (-5, 26), None, False),
        (85.1, (-5, 15), None, True),
        (85.1, (-5, 15, 64), None, True),
        (86, (-5, 15, 86), None, False),
        (280.1, (-5,), 270, True),
        (310, (-5,), 240, True),
        (310.1, (-5,), 240, False),
    ],
)
def test_late_while_sets_are_to_come(now: float, measured: tuple[float, ...], ended: float | None, late: bool) -> None:
    assert plan(now, measured, ended=ended).is_late is late


def test_a_measurement_for_an_earlier_set_does_not_make_up_for_a_missed_one() -> None:
    assert plan(60.1, (0, 15, 36), changes=(30, 45)).is_late
    assert not plan(60, (0, 15, 36), changes=(30, 45)).is_late
    assert not plan(60.1, (0, 15, 36, 50), changes=(30, 45)).is_late


def test_the_clocks_may_change_during_an_infusion() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    start = datetime(2026, 10, 25, 2, 30, fold=0, tzinfo=berlin)
    end = datetime(2026, 10, 25, 2, 50, fold=1, tzinfo=berlin)
    measured = datetime(2026, 10, 25, 2, 45, fold=1, tzinfo=berlin)
    change = datetime(2026, 10, 25, 2, 10, fold=1, tzinfo=berlin)
    now = datetime(2026, 10, 25, 4, 30, tzinfo=berlin)
    found = due(USUAL, start, end, [change], [measured], now)
    assert [(one.occasion, one.due_at - start.astimezone(UTC)) for one in found.moments] == [
        ("baseline", timedelta(0)),
        ("first", timedelta(minutes=15)),
        ("rate_change", timedelta(minutes=40)),
        ("routine", timedelta(minutes=75)),
        ("after_end", timedelta(minutes=80)),
        ("after_end", timedelta(minutes=110)),
        ("after_end", timedelta(minutes=140)),
    ]
    assert {one.occasion for one in found.moments if one.measured_at} == {"routine", "after_end"}
    assert {one.measured_at for one in found.moments} == {None, measured.astimezone(UTC)}
    given = [moment for one in found.moments for moment in (one.due_at, one.opens_at, one.measured_at) if moment]
    assert all(moment.tzinfo is UTC for moment in given)
    later_now = datetime(2026, 10, 25, 2, 40, fold=0, tzinfo=berlin)
    assert not any(one.measured_at for one in due(USUAL, start, None, [], [measured], later_now).moments)


@pytest.mark.parametrize(
    ("setting", "least", "too_little"),
    [
        ("every_minutes", 1, 0),
        ("first_after_minutes", 1, 0),
        ("baseline_within_minutes", 0, -1),
        ("rate_change_within_minutes", 0, -1),
        ("tolerance_minutes", 0, -1),
        ("after_end_minutes", (0,), (30, -1)),
        ("after_end_minutes", (), (-1,)),
    ],
)
def test_settings_that_mean_nothing_are_refused(setting: str, least: Any, too_little: Any) -> None:
    assert getattr(replace(USUAL, **{setting: least}), setting) == least
    with pytest.raises(ValueError, match=r"^(Vital signs can be|The first set is|Minutes cannot be) "):
        replace(USUAL, **{setting: too_little})


whole = st.integers(-90, 400)
records = st.fixed_dictionaries(
    {
        "changes": st.lists(st.integers(1, 300), max_size=6).map(tuple),
        "ended": st.none() | st.integers(5, 300),
        "late": st.booleans(),
    }
)


@given(records, st.lists(whole, max_size=10), whole, st.integers(0, 500))
def test_a_further_measurement_never_undoes_a_set(record: dict, measured: list[int], more: int, now: int) -> None:
    before = plan(now, tuple(measured), **record)
    since = plan(now, (*measured, more), **record)
    assert set(done(before)) <= set(done(since))


@given(records, st.lists(whole, max_size=10), st.integers(-90, 500))
def test_every_set_is_in_one_state_and_within_its_window(record: dict, measured: list[int], now: int) -> None:
    found = plan(now, tuple(measured), **record)
    assert found == plan(now, tuple(reversed(measured)), **record)
    assert list(found.moments) == sorted(found.moments, key=lambda one: one.due_at)
    for one in found.moments:
        assert one.opens_at <= one.due_at <= one.closes_at
        assert (one.state == DONE) is (one.measured_at is not None)
        assert one.measured_at is None or one.opens_at <= one.measured_at <= min(one.closes_at, at(now))
        assert (one.state == MISSED) is (one.measured_at is None and one.closes_at < at(now))
    assert not (found.is_late and not found.missed)


@given(records, st.lists(whole, max_size=10))
def test_a_measurement_serves_sets_at_most_5_minutes_apart(record: dict, measured: list[int]) -> None:
    found = plan(600, tuple(measured), **record)
    served: dict[datetime, list[Moment]] = {}
    for one in found.moments:
        if one.measured_at:
            served.setdefault(one.measured_at, []).append(one)
    assert all(sets[-1].due_at - sets[0].due_at <= timedelta(minutes=5) for sets in served.values())


GOOD: dict[str, Decimal | int | None] = {
    "temperature_c": Decimal("36.8"),
    "heart_rate_per_min": 72,
    "systolic_mmhg": 120,
    "diastolic_mmhg": 80,
    "respiratory_rate_per_min": 14,
    "spo2_percent": 98,
}


def test_good_values_raise_nothing() -> None:
    assert why_impossible_vitals(GOOD) == {}
    assert unlikely_vitals(GOOD) == []
    assert set(SIGNS) == set(GOOD)
    for nothing in ({}, dict.fromkeys(GOOD), {"at": None, "note": 7}):
        assert why_impossible_vitals(nothing) == {}
        assert unlikely_vitals(nothing) == []


@pytest.mark.parametrize(
    ("field", "edge", "beyond", "said"),
    [
        ("temperature_c", "25", "24.9", "Temperature 24.9 °C is not possible. Is it in °C?"),
        ("temperature_c", "45", "45.1", "Temperature 45.1 °C is not possible. Is it in °C?"),
        ("temperature_c", "45.0", "98.6", "Temperature 98.6 °C is not possible. Is it in °C?"),
        ("heart_rate_per_min", 10, 9, "Heart rate 9 per minute is not possible."),
        ("heart_rate_per_min", 300, 301, "Heart rate 301 per minute is not possible."),
        ("systolic_mmhg", 81, 29, "Systolic blood pressure 29 mmHg is not possible."),
        ("systolic_mmhg", 300, 301, "Systolic blood pressure 301 mmHg is not possible."),
        ("diastolic_mmhg", 10, 9, "Diastolic blood pressure 9 mmHg is not possible."),
        ("respiratory_rate_per_min", 3, 2, "Respiratory rate 2 per minute is not possible."),
        ("respiratory_rate_per_min", 120, 121, "Respiratory rate 121 per minute is not possible."),
        ("spo2_percent", 30, 29, "Oxygen saturation 29 % is not possible."),
        ("spo2_percent", 100, 101, "Oxygen saturation 101 % is not possible."),
        ("spo2_percent", 100, 0, "Oxygen saturation 0 % is not possible."),
    ],
)
def test_impossible_values(field: str, edge: object, beyond: object, said: str) -> None:
    assert why_impossible_vitals(GOOD | {field: Decimal(str(edge))}) == {}
    assert why_impossible_vitals(GOOD | {field: Decimal(str(beyond))})[field] == said


def test_what_was_measured_on_another_day_before_the_start_is_a_slip() -> None:
    assert why_impossible_moment(at(-24 * 60), START) == ""
    assert why_impossible_moment(at(60 * 24 * 60), START) == ""
    assert "more than 24 hours before the infusion started" in why_impossible_moment(at(-24 * 60) - SECOND, START)


@pytest.mark.parametrize(
    ("pressure", "wrong"),
    [
        ((30, 29), set()),
        ((29, 28), {"systolic_mmhg"}),
        ((250, 200), set()),
        ((250, 201), {"diastolic_mmhg"}),
        ((81, 80), set()),
        ((80, 80), {"diastolic_mmhg"}),
        ((79, 80), {"diastolic_mmhg"}),
        ((120, None), {"diastolic_mmhg"}),
        ((None, 80), {"systolic_mmhg"}),
        ((None, None), set()),
        ((None, 201), {"systolic_mmhg", "diastolic_mmhg"}),
        ((5, 4), {"systolic_mmhg", "diastolic_mmhg"}),
    ],
)
def test_a_blood_pressure_is_whole_and_the_right_way_round(
    pressure: tuple[int | None, int | None], wrong: set[str]
) -> None:
    systolic, diastolic = pressure
    found = why_impossible_vitals(GOOD | {"systolic_mmhg": systolic, "diastolic_mmhg": diastolic})
    assert set(found) == wrong


def test_a_blood_pressure_says_what_is_wrong_with_it() -> None:
    assert why_impossible_vitals({"systolic_mmhg": 120}) == {
        "diastolic_mmhg": "Write both values of the blood pressure, or neither."
    }
    assert why_impossible_vitals({"systolic_mmhg": 80, "diastolic_mmhg": 120}) == {
        "diastolic_mmhg": "The diastolic value must be below the systolic value."
    }
    assert why_impossible_vitals({"systolic_mmhg": 80, "diastolic_mmhg": 210}) == {
        "diastolic_mmhg": "Diastolic blood pressure 210 mmHg is not possible."
    }


@pytest.mark.parametrize(
    ("field", "edge", "beyond"),
    [
        ("temperature_c", "34", "33.9"),
        ("temperature_c", "41", "41.1"),
        ("heart_rate_per_min", 35, 34),
        ("heart_rate_per_min", 200, 201),
        ("systolic_mmhg", 60, 59),
        ("systolic_mmhg", 230, 231),
        ("diastolic_mmhg", 30, 29),
        ("diastolic_mmhg", 140, 141),
        ("respiratory_rate_per_min", 6, 5),
        ("respiratory_rate_per_min", 60, 61),
        ("spo2_percent", 70, 69),
    ],
)
def test_unlikely_values(field: str, edge: object, beyond: object) -> None:
    sign = SIGNS[field]
    assert unlikely_vitals(GOOD | {field: Decimal(str(edge))}) == []
    assert unlikely_vitals(GOOD | {field: Decimal(str(beyond))}) == [
        f"{sign.label} {beyond} {sign.unit} is unusual. Is it typed as measured?"
    ]


def test_a_full_saturation_is_usual() -> None:
    assert unlikely_vitals({"spo2_percent": 100}) == []


@pytest.mark.parametrize("field", sorted(SIGNS))
def test_what_is_impossible_is_not_called_unusual_as_well(field: str) -> None:
    (low, high), (usual_low, usual_high) = SIGNS[field].possible, SIGNS[field].usual
    assert unlikely_vitals({field: low}) == (
        [f"{SIGNS[field].label} {low} {SIGNS[field].unit} is unusual. Is it typed as measured?"]
        if low < usual_low
        else []
    )
    assert len(unlikely_vitals({field: high})) == (high > usual_high)
    assert unlikely_vitals({field: low - 1}) == unlikely_vitals({field: high + 1}) == []


def test_unlikely_values_are_said_in_the_order_of_the_form() -> None:
    said = unlikely_vitals({"spo2_percent": 60, "temperature_c": Decimal("33.5")})
    assert [sentence.split()[0] for sentence in said] == ["Temperature", "Oxygen"]
