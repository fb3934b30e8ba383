"""Where chance alone would leave a rate: the exact limits against the binomial itself."""

from fractions import Fraction
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactions.rates.pictures.limits import Limits, Standing, limits, limits_of, standing


def chance_of_at_most(count: int, total: int, rate: Fraction) -> Fraction:
    return sum((comb(total, k) * rate**k * (1 - rate) ** (total - k) for k in range(count + 1)), start=Fraction(0))


@pytest.mark.parametrize(
    ("total", "rate", "expected"),
    [
        # Binomial tables: of 10 at 0.1, P(X ≤ 3) = 0.9872, P(X ≤ 4) = 0.99837, P(X ≤ 5) = 0.99985.
        (10, 0.1, (0, 0, 3, 5)),
        # Of 20 at 0.5: P(X ≤ 5) = 0.0207, P(X ≤ 6) = 0.0577; P(X ≤ 2) = 0.0002, P(X ≤ 3) = 0.0013.
        (20, 0.5, (3, 6, 14, 17)),
        (1, 0.1, (0, 0, 1, 1)),
        (7, 0.0, (0, 0, 0, 0)),
        (7, 1.0, (7, 7, 7, 7)),
    ],
)
def test_limits_of_the_tables(total: int, rate: float, expected: tuple[int, int, int, int]) -> None:
    assert limits(total, rate) == Limits(total, *expected)


@given(total=st.integers(1, 80), events=st.integers(1, 99))
def test_at_most_the_stated_chance_lies_beyond(total: int, events: int) -> None:
    rate = Fraction(events, 100)
    found = limits(total, float(rate))
    for outside, low, high in (
        (Fraction(25, 1000), found.low, found.high),
        (Fraction(1, 1000), found.far_low, found.far_high),
    ):
        # Sides of one part in 10^9: the product counts in floats.
        assert 1 - chance_of_at_most(high, total, rate) <= outside + Fraction(1, 10**9)
        assert chance_of_at_most(low - 1, total, rate) <= outside + Fraction(1, 10**9)
        # One step inwards more than that would lie beyond: the limits are as close as they can be.
        assert high == 0 or 1 - chance_of_at_most(high - 1, total, rate) > outside - Fraction(1, 10**9)
        assert chance_of_at_most(low, total, rate) > outside - Fraction(1, 10**9)


def test_many_totals_at_once_are_the_same_as_one_by_one() -> None:
    totals = [1, 2, 17, 400, 100_000]
    assert limits_of(totals, 0.03) == [limits(total, 0.03) for total in totals]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (3, Standing.FAR_BELOW),
        (5, Standing.BELOW),
        (6, Standing.INSIDE),
        (14, Standing.INSIDE),
        (15, Standing.ABOVE),
        (17, Standing.ABOVE),
        (18, Standing.FAR_ABOVE),
    ],
)
def test_a_rate_on_its_limit_is_inside(events: int, expected: Standing) -> None:
    assert standing(events, 20, 0.5) == (Standing.BELOW if events == 3 else expected)


def test_fewer_than_three_events_are_never_called_above() -> None:
    assert standing(2, 2, 0.01) == Standing.FEW
    assert not standing(2, 2, 0.01).stands_out
    assert standing(3, 3, 0.01) == Standing.FAR_ABOVE


def test_every_way_to_stand_out_has_a_shape_of_its_own() -> None:
    assert {Standing.FAR_ABOVE.mark, Standing.FAR_BELOW.mark, Standing.ABOVE.mark, Standing.INSIDE.mark} == {
        "above",
        "below",
        "diamond",
        "dot",
    }


@pytest.mark.parametrize(("total", "rate"), [(0, 0.1), (5, -0.1), (5, 1.1)])
def test_limits_of_what_cannot_be(total: int, rate: float) -> None:
    with pytest.raises(ValueError, match="no limits"):
        limits(total, rate)
