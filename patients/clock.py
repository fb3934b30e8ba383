"""Clock times as people write them in a clinic's zone. Pure: no Django, no database.

Signatures
    in_zone(naive, zone) -> datetime         in UTC; raises NoSuchTime in a gap, TwoSuchTimes where clocks go back
    read(text, zone) -> datetime             in UTC, from ISO 8601 with an offset or in the zone; raises ValueError
    age_on(day, born) -> int | None          whole years; None without a birth date

Moments are given in UTC because Python compares and subtracts two times of one zone by their clock faces, which is an
hour wrong across a change of the clocks.
"""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

# Slips of the keyboard: nobody alive was treated before, and no clinic plans beyond.
EARLIEST_YEAR, LATEST_YEAR = 1900, 2199


class NoSuchTime(ValueError):
    """Clocks were put forward over this time."""


class TwoSuchTimes(ValueError):
    """Clocks were put back, so the time happened twice."""


def in_zone(naive: datetime, zone: ZoneInfo) -> datetime:
    """The moment at which the zone's clocks showed the naive time."""
    earlier, later = naive.replace(tzinfo=zone, fold=0), naive.replace(tzinfo=zone, fold=1)
    if earlier.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != naive:
        raise NoSuchTime(
            f"{naive:%H:%M} did not exist on {naive:%Y-%m-%d} in {zone.key}: clocks were put forward. Check the time."
        )
    if earlier.utcoffset() != later.utcoffset():
        raise TwoSuchTimes(
            f"{naive:%H:%M} happened twice on {naive:%Y-%m-%d} in {zone.key}: clocks were put back."
            f" Write {naive:%Y-%m-%dT%H:%M}{_offset(earlier)} for the first time or"
            f" {naive:%Y-%m-%dT%H:%M}{_offset(later)} for the second."
        )
    return earlier.astimezone(UTC)


def _offset(moment: datetime) -> str:
    return moment.isoformat()[-6:]


def read(text: str, zone: ZoneInfo) -> datetime:
    """An ISO 8601 time, taken in the zone unless it carries an offset. Raises ValueError with what to write.

    A day alone is no moment: nobody meant midnight.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
        if ":" not in text:
            raise ValueError("no time of day")
    except ValueError:
        raise ValueError(f"“{text}” is not a date and time. Write it like 2026-04-30T14:05.") from None
    if not EARLIEST_YEAR <= moment.year <= LATEST_YEAR:
        raise ValueError(f"“{text}” is outside the years that can be recorded. Check the year.")
    return in_zone(moment, zone) if moment.tzinfo is None else moment.astimezone(UTC)


def age_on(day: date, born: date | None) -> int | None:
    """Whole years on that day; None without a birth date."""
    return None if born is None else day.year - born.year - ((day.month, day.day) < (born.month, born.day))
