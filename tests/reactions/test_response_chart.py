"""The geometry of the response over time: where days, values, bars and marks stand."""

import re
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactions.views.response_chart import Chart, Panel, Series, draw

START = date(2026, 1, 5)
DAYS = st.dates(min_value=date(1990, 1, 1), max_value=date(2060, 12, 31))


def series(*values: int, every: int = 28, **limits: object) -> Series:
    points = [(START + timedelta(days=every * number), Decimal(value)) for number, value in enumerate(values)]
    return Series("Synthetic", points, **limits)


def drawn(*of: Series, narrow: bool = False) -> Chart:
    chart = draw([], [], of, narrow=narrow)
    assert chart
    return chart


def numbers(path: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", path)]


def labels(panel: Panel) -> list[str]:
    return [tick.label for tick in panel.ticks]


def test_nothing_measured_is_nothing_drawn() -> None:
    assert draw([(START, Decimal(30))], [(START, 2)], [Series("Synthetic", [])]) is None


def test_a_line_goes_through_its_values_from_left_to_right() -> None:
    panel = drawn(series(120, 150, 135)).panels[0]
    line, dots = panel.strokes
    assert (line.kind, dots.kind) == ("line", "dots")
    first_x, first_y, _, top_y, last_x, middle_y = numbers(line.path)
    assert first_x < last_x
    assert panel.top <= top_y < middle_y < first_y <= panel.bottom
    assert dots.path.count("h0") == 3


def test_a_scale_ends_where_the_measure_does() -> None:
    panel = drawn(series(138, 150, low=Decimal(0), high=Decimal(150))).panels[0]
    assert labels(panel) == ["135", "140", "145", "150"]
    assert labels(drawn(series(3, 7, low=Decimal(0), high=Decimal(10))).panels[0]) == ["0", "5", "10"]
    wide = series(800, 12_000, low=Decimal(1), high=Decimal(500_000), from_zero=True)
    assert labels(drawn(wide).panels[0]) == ["0", "5000", "10k", "15k"]


def test_a_note_stands_behind_the_label_where_there_is_room() -> None:
    noted = Series("Synthetic", series(1, 2).points, note="higher is better")
    assert drawn(noted).panels[0].label == "Synthetic: higher is better"
    assert drawn(noted, narrow=True).panels[0].label == "Synthetic"


@pytest.mark.parametrize("value", [0, 1, 150])
def test_one_value_stands_alone_inside_its_plot(value: int) -> None:
    chart = drawn(series(value, low=Decimal(0), high=Decimal(150)))
    x, y, *_ = numbers(chart.panels[0].strokes[1].path)
    assert chart.left < x < chart.right
    assert chart.panels[0].top <= y <= chart.panels[0].bottom


def test_grams_of_a_day_are_one_bar_from_the_bottom() -> None:
    chart = draw([(START, Decimal(20)), (START, Decimal(15)), (START + timedelta(1), Decimal(70))], [], [series(1, 2)])
    assert chart
    doses = chart.panels[1]
    _, bottom, low_top, _, _, high_top = numbers(doses.strokes[0].path)
    assert bottom == doses.bottom
    assert high_top == doses.top + (doses.bottom - doses.top) * (1 - 70 / 100)
    assert bottom - low_top == pytest.approx((bottom - high_top) / 2)
    assert doses.strokes[0].path.count("M") == 2


def test_worse_reactions_stand_higher_and_severe_ones_look_different() -> None:
    marks = [(START, 1), (START + timedelta(3), 4), (START + timedelta(3), 4), (START + timedelta(5), None)]
    chart = draw([], marks, [series(1, 2)])
    assert chart
    found = {stroke.kind: stroke.path for stroke in chart.panels[1].strokes}
    assert set(found) == {"mild", "severe", "ungraded"}
    assert numbers(found["severe"])[1] < numbers(found["mild"])[1] < numbers(found["ungraded"])[1]
    assert found["severe"].count("M") == 1
    assert labels(chart.panels[1]) == ["5", "4", "3", "2", "1", "?"]


def test_without_an_ungraded_reaction_there_is_no_line_for_it() -> None:
    chart = draw([], [(START, 2)], [series(1, 2)])
    assert chart
    assert labels(chart.panels[1]) == ["5", "4", "3", "2", "1"]


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        (10, ["12-27", "01-03", "01-10", "01-17", "01-24"]),
        (84, ["01-05", "01-19", "02-02", "02-16", "03-02", "03-16", "03-30"]),
        (200, ["2026-02", "2026-03", "2026-04", "2026-05", "2026-06", "2026-07"]),
        (700, ["2026-04", "2026-07", "2026-10", "2027-01", "2027-04", "2027-07", "2027-10"]),
        (3_000, ["2027", "2028", "2029", "2030", "2031", "2032", "2033", "2034"]),
        (12_000, ["2030", "2035", "2040", "2045", "2050", "2055"]),
    ],
)
def test_dates_on_the_axis_are_round(span: int, expected: list[str]) -> None:
    chart = drawn(series(1, 2, every=span))
    assert [day.label for day in chart.days] == expected


@given(days=st.lists(DAYS, min_size=1, max_size=40), data=st.data())
def test_everything_stays_inside_the_drawing(days: list[date], data: st.DataObject) -> None:
    value = st.decimals(min_value=0, max_value=500_000, places=1)
    doses = [(day, data.draw(st.decimals(min_value=Decimal("0.01"), max_value=1000, places=2))) for day in days]
    marks = [(day, data.draw(st.sampled_from([None, 1, 2, 3, 4, 5]))) for day in days]
    points = [(day, data.draw(value)) for day in sorted(days)]
    narrow = data.draw(st.booleans())
    chart = draw(doses, marks, [Series("Synthetic", points, low=Decimal(0), high=Decimal(500_000))], narrow=narrow)
    assert chart
    assert len(chart.days) <= (4 if narrow else 8)
    for panel in chart.panels:
        assert 0 <= panel.top < panel.bottom <= chart.bottom < chart.axis_y < chart.height
        assert all(panel.top <= tick.at <= panel.bottom for tick in panel.ticks)
        assert 2 <= len(panel.ticks) <= 6
        for stroke in panel.strokes:
            for x, y in re.findall(r"[ML]([\d.-]+) ([\d.-]+)", stroke.path):
                assert chart.left <= float(x) <= chart.right
                assert panel.top <= float(y) <= panel.bottom


def test_a_thousand_infusions_stay_a_small_drawing() -> None:
    days = [START + timedelta(days=7 * number) for number in range(1_000)]
    chart = draw([(day, Decimal(35)) for day in days], [(day, 2) for day in days], [series(120, 150)])
    assert chart
    assert sum(len(stroke.path) for panel in chart.panels for stroke in panel.strokes) < 40_000
