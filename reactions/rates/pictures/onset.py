"""How soon reactions begin: the share of those with a known onset that had begun by each moment. Pure.

One event an infusion, its earliest symptom. The axis of time is stretched at its beginning: a moment t stands at
log(1 + t/s), so that 0 has a place, minutes are told apart and 72 hours still fit; s is 15 minutes from the start and
one hour from the end.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from math import log1p
from statistics import median

from reactions.rates.pictures.drawing import (
    Drawing,
    Frame,
    Picture,
    Stroke,
    Table,
    Text,
    fraction_axis,
    several,
    share,
)
from reactions.rates.pictures.pooling import in_order

LAST = timedelta(hours=72)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
AT_ONCE = timedelta(0)


@dataclass(frozen=True)
class Event:
    """The earliest symptom of an infusion with a reaction, counted from the infusion's two ends.

    None where the onset is not recorded, and from the end also where the infusion has none. Below 0 it is before.
    """

    patient: int
    after_start: timedelta | None
    after_end: timedelta | None


@dataclass(frozen=True)
class _Clock:
    """One way to count: what it is called, how the axis is stretched, and which moments are in its table."""

    key: str
    words: str
    at_once: str
    unrecorded: str
    stretch: timedelta
    moments: tuple[timedelta, ...]
    ticks: tuple[timedelta, ...]
    narrow_ticks: tuple[timedelta, ...]

    def along(self, moment: timedelta) -> float:
        """Where a moment stands between 0 and 72 h, as a share of the axis."""
        return log1p(moment / self.stretch) / log1p(LAST / self.stretch)


_START = _Clock(
    key="onset-from-start",
    words="the start of the infusion",
    at_once="at the start or before it",
    unrecorded="No onset is recorded",
    stretch=15 * MINUTE,
    moments=(*(n * MINUTE for n in (0, 15, 30, 60, 120, 240)), *(n * HOUR for n in (6, 12, 24, 48, 72))),
    ticks=(*(n * MINUTE for n in (0, 15, 30)), *(n * HOUR for n in (1, 2, 4, 8, 24, 72))),
    narrow_ticks=(AT_ONCE, 30 * MINUTE, 2 * HOUR, 8 * HOUR, 24 * HOUR, LAST),
)
_END = _Clock(
    key="onset-from-end",
    words="the end of the infusion",
    at_once="during the infusion",
    unrecorded="No onset, or no end of the infusion, is recorded",
    stretch=HOUR,
    moments=tuple(n * HOUR for n in (0, 1, 2, 4, 6, 12, 24, 36, 48, 72)),
    ticks=tuple(n * HOUR for n in (0, 1, 2, 4, 8, 24, 72)),
    narrow_ticks=tuple(n * HOUR for n in (0, 2, 8, 24, 72)),
)


def from_start(events: Sequence[Event], *, least_patients: int = 0) -> Picture:
    """From the start. With `least_patients`, no two points differ by events of fewer patients."""
    return _picture(_START, [(event.patient, event.after_start) for event in events], least_patients)


def from_end(events: Sequence[Event], *, least_patients: int = 0) -> Picture:
    """From the end; not where few patients are to be hidden, for its difference to the other curve tells of few."""
    if least_patients > 0:
        return _nothing(
            _END,
            "This curve is not drawn while small groups are hidden: beside the one from the start it would tell of"
            " single reactions.",
        )
    return _picture(_END, [(event.patient, event.after_end) for event in events], 0)


def _picture(clock: _Clock, found: Sequence[tuple[int, timedelta | None]], least: int) -> Picture:
    if not found:
        return _nothing(clock, "No infusion here was followed by a reaction that counts, so there is no curve.")
    known = sorted((max(at, AT_ONCE), patient) for patient, at in found if at is not None)
    unknown = {patient for patient, at in found if at is None}
    if not known and len(unknown) >= least:
        return _nothing(clock, f"{clock.unrecorded} for {several(len(found), 'reaction')}, so there is no curve.")
    moments, total, pooled = clock.moments, len(known), False
    if least:
        # Which of the table's moments can be told, and whether what is unknown has to count with what came later.
        edges = (None, *moments)
        cells = [
            {patient for at, patient in known if (before is None or at > before) and at <= moment}
            for before, moment in zip(edges, moments, strict=False)
        ]
        later = {patient for at, patient in known if at > moments[-1]}
        hides_unknown = 0 < len(unknown) < least
        runs = in_order([*cells, later | unknown if hides_unknown else later], least)
        if runs is None or not known:
            return _nothing(clock, f"Onsets are recorded of fewer than {least} patients, so no curve is drawn.")
        told = tuple(moments[run.stop - 1] for run in runs if run.stop <= len(moments))
        pooled = len(told) < len(moments) or hides_unknown
        if not told:
            return _nothing(clock, f"Drawn apart, the moments would rest on fewer than {least} patients each.")
        moments = told
        total = len(found) if hides_unknown else len(known)
    began = [(moment, sum(at <= moment for at, _ in known)) for moment in moments]
    steps = began if least else _steps(clock, known)
    return Picture(
        key=clock.key,
        title=f"When reactions began, from {clock.words}",
        shows=f"The share of reactions that had begun by each moment, up to 72 h from {clock.words}.",
        reading=(
            "The higher the line, the more had begun. Each infusion counts once, by its earliest symptom. Time is"
            f" stretched at the beginning (log of 1 + t/{_short(clock.stretch)}), so equal widths are not equal times."
        ),
        wide=_draw(clock, steps, began[-1], total, narrow=False),
        narrow=_draw(clock, steps, began[-1], total, narrow=True),
        said=tuple(_said_of_few(clock, known, found, total, least, pooled) if least else _said(clock, known, found)),
        table=Table(
            f"Reactions that had begun, from {clock.words}",
            ("Within", "Had begun"),
            tuple((_within(clock, moment), share(count, total)) for moment, count in began),
        ),
    )


def _nothing(clock: _Clock, why: str) -> Picture:
    return Picture(
        clock.key,
        f"When reactions began, from {clock.words}",
        f"The share of reactions that had begun by each moment, up to 72 h from {clock.words}.",
        "",
        empty=why,
    )


def _said(clock: _Clock, known: list[tuple[timedelta, int]], found: Sequence[object]) -> list[str]:
    half = median(at / MINUTE for at, _ in known) * MINUTE
    said = [f"Half had begun within {_spoken(half)}." if half > AT_ONCE else f"Half had begun {clock.at_once}."]
    if later := sum(at > LAST for at, _ in known):
        said.append(f"{share(later, len(known))} began later than 72 h, beyond the drawing.")
    if missing := len(found) - len(known):
        said.append(_left_out(clock, missing, len(found)))
    return said


def _said_of_few(
    clock: _Clock, known: Sequence[object], found: Sequence[object], total: int, least: int, pooled: bool
) -> list[str]:
    """The same where few patients are hidden: no single moment, and no count that rests on fewer."""
    said = []
    if missing := len(found) - total:
        said.append(_left_out(clock, missing, len(found)))
    if pooled:
        said.append(f"Moments between which reactions of fewer than {least} patients began are told together.")
    if total > len(known):
        said.append("Reactions without a recorded onset count as not yet begun.")
    return said


def _left_out(clock: _Clock, missing: int, found: int) -> str:
    are = "it is" if missing == 1 else "they are"
    return f"{clock.unrecorded} for {missing} of {several(found, 'reaction')}; {are} not in the curve."


def _steps(clock: _Clock, known: list[tuple[timedelta, int]]) -> list[tuple[timedelta, int]]:
    """(moment, begun by then), one for each thousandth of the axis at most: a page does not grow with the events."""
    counted = [(at, number) for number, (at, _) in enumerate(known, 1) if at <= LAST]
    grouped = groupby(counted, key=lambda step: round(clock.along(step[0]), 3))
    return [list(steps)[-1] for _, steps in grouped]


def _draw(
    clock: _Clock, steps: list[tuple[timedelta, int]], last: tuple[timedelta, int], total: int, *, narrow: bool
) -> Drawing:
    width, left, right = (360, 50, 346) if narrow else (960, 70, 930)
    frame = Frame(left, right, 34, 250 if narrow else 290)
    grid, texts = fraction_axis(frame, 0.25)
    ticks = clock.narrow_ticks if narrow else clock.ticks
    for moment in ticks:
        x = frame.x(clock.along(moment))
        anchor = "end" if moment == LAST else "middle"
        texts.append(Text(x, frame.bottom + 22, _short(moment) if moment else "0", anchor))
    marks = Stroke("axis", tuple(((x, frame.bottom), (x, frame.bottom + 6)) for x in _places(clock, frame, ticks)))
    points = [(frame.left, frame.y(0))]
    for moment, count in steps:
        x = frame.x(clock.along(moment))
        points += [(x, points[-1][1]), (x, frame.y(count / total))]
    points.append((frame.x(clock.along(max(last[0], steps[-1][0] if steps else last[0]))), points[-1][1]))
    texts.append(Text(left, 16, f"{share(last[1], total)} had begun within {_short(last[0])}", strong=True))
    strokes = (grid, marks, Stroke("curve", (tuple(dict.fromkeys(points)),)))
    return Drawing(width, frame.bottom + 34, strokes, (), tuple(texts))


def _places(clock: _Clock, frame: Frame, moments: Sequence[timedelta]) -> list[float]:
    return [frame.x(clock.along(moment)) for moment in moments]


def _within(clock: _Clock, moment: timedelta) -> str:
    return _short(moment) if moment else clock.at_once.capitalize()


def _short(moment: timedelta) -> str:
    return f"{moment // MINUTE} min" if moment < HOUR else f"{moment / HOUR:g} h"


def _spoken(moment: timedelta) -> str:
    """To the minute below two hours, then to a tenth of an hour."""
    return f"{round(moment / MINUTE)} min" if moment < 2 * HOUR else f"{round(moment / HOUR, 1):g} h"
