"""The geometry of the pictures: where curves, marks and words stand, and what is said beside them."""

import itertools
import re
from collections.abc import Sequence
from datetime import date, timedelta
from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactions.rates.pictures import lots, onset, over_time, response
from reactions.rates.pictures.drawing import Drawing, Picture, Stroke, share
from reactions.rates.pictures.onset import Event, from_end, from_start
from reactions.rates.pictures.over_time import Month

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def event(minutes: float | None, patient: int = 1, lasting: float = 240) -> Event:
    if minutes is None:
        return Event(patient, None, None)
    return Event(patient, minutes * MINUTE, (minutes - lasting) * MINUTE)


def drawn(picture: Picture, *, narrow: bool = False) -> Drawing:
    drawing = picture.narrow if narrow else picture.wide
    assert drawing, picture.empty
    return drawing


def strokes(drawing: Drawing, kind: str) -> list[Stroke]:
    return [stroke for stroke in drawing.strokes if stroke.kind == kind]


def words(drawing: Drawing) -> list[str]:
    return [text.words for text in drawing.texts]


def rows(picture: Picture) -> dict[str, tuple[str, ...]]:
    assert picture.table
    return {row[0]: row[1:] for row in picture.table.rows}


def everything_said(picture: Picture) -> str:
    drawings = [drawing for drawing in (picture.wide, picture.narrow) if drawing]
    return "\n".join([*picture.said, picture.empty, *(text for drawing in drawings for text in words(drawing))])


def inside(drawing: Drawing) -> None:
    """Everything lies on the drawing."""
    for stroke in drawing.strokes:
        for run in stroke.runs:
            assert all(0 <= x <= drawing.width and 0 <= y <= drawing.height for x, y in run)
    for mark in drawing.marks:
        assert 0 <= mark.x <= drawing.width
        assert 0 <= mark.y <= drawing.height
    for text in drawing.texts:
        assert 0 <= text.y <= drawing.height


# --- When reactions began


def test_the_onset_curve_climbs_by_one_event_at_a_time() -> None:
    picture = from_start([event(30), event(60), event(60), event(None)])
    drawing = drawn(picture)
    [run] = strokes(drawing, "curve")[0].runs
    bottom, top = 290, 34
    along = {minutes: 70 + 860 * log(1 + minutes / 15) / log(1 + 72 * 60 / 15) for minutes in (0, 30, 60, 72 * 60)}
    at = [
        (along[0], bottom),
        (along[30], bottom),
        (along[30], bottom - (bottom - top) / 3),
        (along[60], bottom - (bottom - top) / 3),
        (along[60], top),
        (along[72 * 60], top),
    ]
    assert run == tuple(pytest.approx(point, abs=0.051) for point in at)
    assert "3/3 (100 %) had begun within 72 h" in words(drawing)
    assert rows(picture)["30 min"] == ("1/3 (33.3 %)",)
    assert rows(picture)["15 min"] == ("0/3 (0 %)",)
    assert "No onset is recorded for 1 of 4 reactions; it is not in the curve." in picture.said
    assert "Half had begun within 60 min." in picture.said


def test_from_the_end_what_began_before_it_is_there_at_once() -> None:
    picture = from_end([event(30), event(240 + 90), event(240 + 80 * 60), Event(2, HOUR, None)])
    assert rows(picture)["During the infusion"] == ("1/3 (33.3 %)",)
    assert rows(picture)["2 h"] == ("2/3 (66.7 %)",)
    assert "1/3 (33.3 %) began later than 72 h, beyond the drawing." in picture.said
    [run] = strokes(drawn(picture), "curve")[0].runs
    assert run[0] == (70, 290)
    assert run[1] == (70, pytest.approx(290 - 256 / 3, abs=0.1))


def test_an_onset_before_the_start_counts_at_the_start() -> None:
    assert rows(from_start([event(-20), event(400)]))["At the start or before it"] == ("1/2 (50.0 %)",)


def test_without_events_or_onsets_there_is_no_curve_but_a_reason() -> None:
    assert from_start([]).empty.startswith("No infusion here was followed by a reaction")
    assert from_start([event(None)]).empty == "No onset is recorded for 1 reaction, so there is no curve."
    assert from_start([]).wide is None


def test_a_page_does_not_grow_with_the_events() -> None:
    drawing = drawn(from_start([event(number / 40) for number in range(1, 100_000)]))
    [run] = strokes(drawing, "curve")[0].runs
    assert len(run) < 2100
    assert len(run) == len(set(run))


EVENTS = st.lists(
    st.builds(
        event,
        st.none() | st.sampled_from([-5, 0, 3, 15, 16, 31, 59, 61, 119, 300, 500, 1500, 3000, 4320, 9000]),
        st.integers(0, 9),
    ),
    max_size=40,
)


def _moment(label: str) -> timedelta:
    found = re.fullmatch(r"(\d+) (min|h)", label)
    return int(found[1]) * (MINUTE if found[2] == "min" else HOUR) if found else timedelta(0)


@given(events=EVENTS, least=st.integers(1, 6))
def test_no_two_points_of_the_curve_differ_by_few_patients(events: list[Event], least: int) -> None:
    picture = from_start(events, least_patients=least)
    assert not from_end(events, least_patients=least).wide

    def few(found: Sequence[Event]) -> bool:
        return 0 < len({one.patient for one in found}) < least

    known = [one for one in events if one.after_start is not None]
    if picture.wide is None:
        assert not re.search(r"\d/\d", picture.empty)
        return
    moments = [_moment(label) for label in rows(picture)]
    told = {cell for [cell] in rows(picture).values()}
    [total] = {int(cell.split("/")[1].split(" ")[0]) for cell in told}
    assert total in {len(known), len(events)}
    edges = [timedelta(-1), *moments, timedelta.max]
    for begin, end in itertools.pairwise(edges):
        between = [one for one in known if begin < max(one.after_start, timedelta(0)) <= end]
        if end == timedelta.max and total == len(events):
            between = [*between, *(one for one in events if one.after_start is None)]
        assert not few(between), (begin, end)
    if total < len(events):
        assert not few([one for one in events if one.after_start is None])
    # And nothing is said that is not in the table.
    assert "Half" not in everything_said(picture)
    for said in re.findall(r"\d+/\d+", everything_said(picture)):
        assert any(cell.startswith(f"{said} ") for cell in told)


# --- The rate over time


def month(number: int, events: int, total: int, patients: frozenset[int] = frozenset()) -> Month:
    return Month(date(2024 + number // 12, number % 12 + 1, 1), events, total, patients)


def test_months_stand_against_the_rate_of_all() -> None:
    picture = over_time.over_time([month(0, 2, 20), month(1, 2, 20), month(3, 12, 20)])
    drawing = drawn(picture)
    assert rows(picture)["2024-03"][0] == "no infusions"
    assert rows(picture)["2024-01"] == ("2/20 (10.0 %)", "2 to 9 of 20", "0 to 12 of 20", "inside the limits")
    assert rows(picture)["2024-04"][3] == "above the 95 % limit"
    assert rows(picture)["All"][0] == "16/60 (26.7 %)"
    assert picture.said == ("Outside the limits: 2024-04 12/20 (60.0 %), above the 95 % limit.",)
    assert "12/20" in words(drawing)
    assert [mark.kind for mark in drawing.marks[:3]] == ["dot", "dot", "diamond"]
    [centre] = strokes(drawing, "centre")[0].runs
    # The scale ends at 60 %.
    assert centre[0][1] == pytest.approx(290 - 256 * (16 / 60) / 0.6, abs=0.051)
    # The limits are broken where a month has no infusions.
    assert len(strokes(drawing, "limit")[0].runs) == 4


@pytest.mark.parametrize(
    ("months", "labels"),
    [
        (24, ("2024-01", "2025-12")),
        (25, ("2024 Q1", "2026 Q1")),
        (120, ("2024 Q1", "2033 Q4")),
        (121, ("2024", "2034")),
    ],
)
def test_months_give_way_to_quarters_and_years(months: int, labels: tuple[str, str]) -> None:
    found = list(rows(over_time.over_time([month(0, 1, 9), month(months - 1, 2, 9)])))
    assert (found[0], found[-2]) == labels


def test_a_quarter_holds_its_three_months() -> None:
    picture = over_time.over_time([month(0, 1, 5), month(2, 2, 5), month(3, 1, 5), month(30, 0, 5)])
    assert rows(picture)["2024 Q1"][0] == "3/10 (30.0 %)"
    assert rows(picture)["2024 Q2"][0] == "1/5 (20.0 %)"


def test_no_infusions_at_all_are_said() -> None:
    assert over_time.over_time([]).empty == "No infusions match these filters."


def test_months_of_few_patients_are_put_together() -> None:
    months = [
        month(0, 1, 4, frozenset({1, 2, 3})),
        month(1, 1, 1, frozenset({4})),
        month(2, 0, 5, frozenset({5, 6, 7})),
    ]
    picture = over_time.over_time(months, least_patients=3)
    assert list(rows(picture)) == ["2024-01", "2024-02 to 2024-03", "All"]
    assert any("fewer than 3 patients are put together" in said for said in picture.said)
    assert over_time.over_time(months, least_patients=8).wide is None
    assert not re.search(r"\d/\d", everything_said(over_time.over_time(months, least_patients=8)))


def test_where_all_months_have_enough_none_is_said_to_be_put_together() -> None:
    picture = over_time.over_time([month(0, 1, 4, frozenset({1, 2}))], least_patients=2)
    assert picture.said == ("No month lies outside the limits.",)


# --- Lots


def lot(name: str, events: int, total: int, patients: int = 9) -> lots.Lot:
    return lots.Lot(name, events, total, patients)


def test_a_lot_stands_at_its_infusions_and_its_rate() -> None:
    picture = lots.funnel([lot("A1 (Privigen)", 9, 20), lot("B2 (Privigen)", 6, 80)], 15, 150)
    drawing = drawn(picture)
    # The axis ends at 80 infusions and 50 %.
    first, second = sorted(drawing.marks[:2], key=lambda mark: mark.x)
    assert (first.x, first.y) == (pytest.approx(70 + 860 * 20 / 80), pytest.approx(310 - 276 * 0.45 / 0.5, abs=0.1))
    assert first.kind == "above"
    assert second.x == 930
    assert rows(picture)["A1 (Privigen)"] == ("9/20 (45.0 %)", "9", "above the 99.8 % limit")
    assert rows(picture)["All infusions"][0] == "15/150 (10.0 %)"
    assert picture.said[0].startswith("Outside the limits: A1 (Privigen) 9/20 (45.0 %) in 9 patients, above")
    assert "A1" in words(drawing)


def test_a_lot_of_two_infusions_does_not_press_all_others_to_the_ground() -> None:
    picture = lots.funnel([lot("SMALL", 1, 1, 1), lot("LARGE", 5, 100)], 6, 101)
    drawing = drawn(picture)
    assert "beyond" in {mark.kind for mark in drawing.marks}
    assert words(drawing).count("100 %") == 0
    assert any("1 lot of fewer than 5 infusions" in said for said in picture.said)


def test_what_is_no_lot_is_in_the_table_only() -> None:
    picture = lots.funnel([lot("A", 1, 10), lot(lots.NOT_RECORDED, 0, 5)], 1, 15)
    assert [mark.kind for mark in drawn(picture).marks].count("dot") == 2  # the lot, and the key
    assert rows(picture)[lots.NOT_RECORDED][0] == "0/5 (0 %)"
    assert "For 5 infusions no lot is recorded; they are in the table only." in picture.said
    assert lots.funnel([lot(lots.NOT_RECORDED, 0, 5)], 0, 5).empty == "No lot is recorded for the infusions here."


def test_no_events_at_all_still_make_a_picture() -> None:
    drawing = drawn(lots.funnel([lot("A", 0, 10)], 0, 10))
    inside(drawing)
    assert "1 %" in words(drawing)


def test_very_many_lots_stay_a_readable_table() -> None:
    found = [lot(f"L{number:04}", 1, 10) for number in range(1000)]
    picture = lots.funnel([*found, lot("ODD", 9, 10)], 1009, 10_010)
    assert picture.table
    assert len(picture.table.rows) == lots.MOST_ROWS + 2
    assert picture.table.rows[0][0] == "ODD"
    assert picture.table.rows[-2][0] == "701 lots with fewer infusions"


# --- Check-ins


def test_answered_of_sent_with_wilsons_interval() -> None:
    picture = response.answered([response.Kind("24 hours after", 10, 1, 2), response.Kind("8 days after", 0, 0, 0)])
    # Wilson of 1/10: 1.79 % to 40.4 % (Brown, Cai & DasGupta 2001).
    assert rows(picture) == {"24 hours after": ("1/10 (10.0 %)", "1.79 to 40.4 %", "2")}
    assert picture.said == ("2 of those sent can still be answered.",)
    drawing = drawn(picture)
    [line] = strokes(drawing, "interval")[0].runs
    assert [x for x, _ in line] == [pytest.approx(390 + 340 * end, abs=0.1) for end in (0.017876, 0.404150)]
    assert drawing.marks[0].x == pytest.approx(390 + 34)
    assert "1/10 · 10.0 %" in words(drawing)


def test_no_check_ins_are_said() -> None:
    assert response.answered([]).empty == "No check-in was sent after these infusions."


# --- All of them


@given(
    months=st.lists(
        st.tuples(st.integers(0, 400), st.integers(0, 40), st.integers(0, 3)).map(
            lambda drawn: month(drawn[0], min(drawn[1], drawn[2]), drawn[1])
        ),
        max_size=30,
        unique_by=lambda month: month.first,
    ),
    found=st.lists(st.tuples(st.integers(1, 3000), st.integers(0, 3000)), min_size=1, max_size=20),
)
def test_everything_lies_on_the_drawing(months: list[Month], found: list[tuple[int, int]]) -> None:
    counted = [lot(f"LOT{number}", min(total, events), total) for number, (total, events) in enumerate(found)]
    pictures = [
        over_time.over_time(months),
        lots.funnel(counted, sum(one.events for one in counted), sum(one.total for one in counted)),
        response.answered([response.Kind(one.name, one.total, one.events, 0) for one in counted]),
    ]
    for picture in pictures:
        for drawing in (picture.wide, picture.narrow):
            if drawing:
                inside(drawing)


def test_a_small_share_is_never_written_as_none() -> None:
    assert share(1, 100_000) == "1/100000 (0.00100 %)"
    assert share(0, 0) == "0/0"


def test_onset_axis_has_room_for_its_ends() -> None:
    for clock in (onset._START, onset._END):
        assert clock.along(timedelta(0)) == 0
        assert clock.along(72 * HOUR) == 1
