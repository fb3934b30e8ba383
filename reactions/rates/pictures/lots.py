"""Whether a lot stands out: a funnel of lots, infusions against rate, with the limits of chance. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from reactions.rates.pictures.drawing import (
    CAPITAL,
    Drawing,
    Frame,
    Mark,
    Picture,
    Stroke,
    Table,
    Text,
    fraction_axis,
    key_of,
    one_of,
    round_scale,
    several,
    share,
)
from reactions.rates.pictures.limits import IN_THE_KEY, Standing, limits_of, standing

NOT_RECORDED, OTHERS = "Lot not recorded", "Other lots"
# Smaller ones may lie above the drawing, for one reaction after two infusions would make it all sky.
SMALL = 5
MOST_ROWS = 300
LIMIT_POINTS = 240
TITLE = "Lots against each other"
SHOWS = "Each mark is a lot: infusions with it across, and how many of them were followed by a reaction, up."


@dataclass(frozen=True)
class Lot:
    """Infusions with vials of one lot; or those without a lot recorded, or of all lots that are not told apart."""

    name: str
    events: int
    total: int
    patients: int

    @property
    def is_lot(self) -> bool:
        return self.name not in {NOT_RECORDED, OTHERS}


def funnel(lots: Iterable[Lot], events: int, total: int, *, pooled: int = 0, least_patients: int = 0) -> Picture:
    """The lots against the rate of all infusions, `events` of `total`.

    `pooled` is how many lots stand together as OTHERS, since each would rest on fewer than `least_patients`.
    """
    lots = sorted((lot for lot in lots if lot.total), key=lambda lot: (not lot.is_lot, -lot.total, lot.name))
    told = [lot for lot in lots if lot.is_lot]
    if not told:
        why = "No lot is recorded for the infusions here."
        if pooled:
            why = f"Told apart, lots here would rest on fewer than {least_patients} patients, so none is drawn."
        return Picture("lots", TITLE, SHOWS, "", empty=why)
    rate = events / total
    judged = [(lot, standing(lot.events, lot.total, rate)) for lot in told]
    return Picture(
        key="lots",
        title=TITLE,
        shows=SHOWS,
        reading=(
            "The solid line is the rate of all infusions. Few infusions spread widely by chance, so the lines open to"
            " the left: at most 1 lot in 20 lies beyond the dashed ones by chance alone (exact 95 % limits), 1 in 500"
            " beyond the dotted ones (99.8 %). Products differ, and all are held against the one rate. An infusion with"
            " vials of several lots counts for each. Lots go to different patients: a mark outside says where to look,"
            " and proves nothing."
        ),
        wide=_draw(judged, events, total, narrow=False),
        narrow=_draw(judged, events, total, narrow=True),
        said=tuple(_said(judged, lots, _scale(judged, rate)[1], pooled, least_patients)),
        table=Table(
            "Infusions with a reaction, of all, by lot",
            ("Lot", "With a reaction", "Patients", "Against the rate of all"),
            tuple(_rows(judged, lots, Lot("All infusions", events, total, 0))),
        ),
    )


def _said(
    judged: Sequence[tuple[Lot, Standing]], lots: Sequence[Lot], top: float, pooled: int, least: int
) -> list[str]:
    said = []
    out = [
        f"{lot.name} {share(lot.events, lot.total)} in {several(lot.patients, 'patient')}, {where}"
        for lot, where in judged
        if where.stands_out
    ]
    said.append(f"Outside the limits: {one_of(out)}." if out else "No lot lies outside the limits.")
    if pooled:
        said.append(
            f"{several(pooled, 'lot')} stand together as “{OTHERS}” in the table, with infusions without a recorded lot"
            f" where they are few: told apart they would rest on fewer than {least} patients, or tell of so few."
        )
    for lot in lots:
        if lot.name == NOT_RECORDED:
            said.append(f"For {several(lot.total, 'infusion')} no lot is recorded; they are in the table only.")
    if beyond := sum(lot.events / lot.total > top for lot, _ in judged):
        said.append(
            f"Above the drawing, within the limits: {several(beyond, 'lot')} of fewer than {SMALL} infusions, marked at"
            " its upper edge."
        )
    return said


def _rows(judged: Sequence[tuple[Lot, Standing]], lots: Sequence[Lot], everything: Lot) -> list[tuple[str, ...]]:
    """Those that stand out first, then by infusions; the last of very many are left out, and that is said."""
    ordered = sorted(judged, key=lambda one: not one[1].stands_out)
    rows = [
        (lot.name, share(lot.events, lot.total), str(lot.patients), str(where)) for lot, where in ordered[:MOST_ROWS]
    ]
    if len(ordered) > MOST_ROWS:
        rows.append((f"{len(ordered) - MOST_ROWS} lots with fewer infusions", "not listed", "", ""))
    rows += [(lot.name, share(lot.events, lot.total), str(lot.patients), "") for lot in lots if not lot.is_lot]
    return [*rows, (everything.name, share(everything.events, everything.total), "", "")]


def _scale(judged: Sequence[tuple[Lot, Standing]], rate: float) -> tuple[float, float]:
    """(step, top): every lot is inside that stands out or has some infusions."""
    weighty = [lot for lot, where in judged if where.stands_out or lot.total >= SMALL] or [lot for lot, _ in judged]
    return round_scale(max(min(1.0, 2 * rate), *(lot.events / lot.total for lot in weighty)))


def _draw(judged: Sequence[tuple[Lot, Standing]], events: int, total: int, *, narrow: bool) -> Drawing:
    width, left, right = (360, 50, 346) if narrow else (960, 70, 930)
    rate, most = events / total, max(lot.total for lot, _ in judged)
    step, top = _scale(judged, rate)
    frame = Frame(left, right, 34, 270 if narrow else 310, top)
    across, last = _counts(most, 3 if narrow else 6)
    grid, texts = fraction_axis(frame, step)
    places = [frame.x(count / last) for count in across]
    ticks = Stroke("axis", tuple(((x, frame.bottom), (x, frame.bottom + 6)) for x in places))
    for count, x in zip(across, places, strict=True):
        texts.append(Text(x, frame.bottom + 22, f"{count}", "end" if count == last else "middle"))
    texts.append(Text(right, frame.bottom + 42, "infusions with the lot", "end"))
    centre = Stroke("centre", (((left, frame.y(rate)), (right, frame.y(rate))),))
    marks, names = [], []
    for lot, where in judged:
        x, beyond = frame.x(lot.total / last), lot.events / lot.total > top
        mark = Mark("beyond" if beyond else where.mark, x, frame.y(lot.events / lot.total))
        marks.append(mark)
        if where.stands_out:
            names.append((lot, mark))
    texts += _named(names, frame)
    texts.append(Text(left, 16, f"All infusions: {share(events, total)}", strong=True))
    kinds = {mark.kind for mark in marks}
    entries = [("centre", "rate of all"), ("limit", "95 % limits"), ("far-limit", "99.8 % limits")]
    entries += [(kind, words) for kind, words in (*IN_THE_KEY, ("beyond", "above the drawing")) if kind in kinds]
    key = key_of(entries, frame, frame.bottom + 68)
    return Drawing(
        width,
        key.bottom + 12,
        (grid, ticks, centre, *_limit_lines(rate, last, frame), *key.strokes),
        (*marks, *key.marks),
        (*texts, *key.texts),
    )


def _counts(most: int, parts: int) -> tuple[list[int], int]:
    """(ticks, the last of them): round counts from 0 that reach the most."""
    rough = max(most / parts, 1)
    power = 10 ** floor(log10(rough))
    step = next(int(power * factor) for factor in (1, 2, 5, 10) if rough <= power * factor)
    last = step * ceil(most / step)
    return list(range(0, last + 1, step)), last


def _limit_lines(rate: float, last: int, frame: Frame) -> list[Stroke]:
    """The limits over all counts. They jump, for events are whole; what lies beyond the scale is left out."""
    every = max(1, last // LIMIT_POINTS)
    ends = limits_of(list(range(1, last + 1, every)), rate)
    strokes = []
    for kind, low, high in (("limit", "low", "high"), ("far-limit", "far_low", "far_high")):
        runs = []
        for end in (low, high):
            fractions = [(one.total, getattr(one, end) / one.total) for one in ends]
            run = [(frame.x(count / last), frame.y(at)) for count, at in fractions if at <= frame.highest]
            if len(run) > 1:
                runs.append(tuple(run))
        strokes.append(Stroke(kind, tuple(runs)))
    return strokes


def _named(found: Sequence[tuple[Lot, Mark]], frame: Frame, most: int = 8) -> list[Text]:
    """The names of lots that stand out beside their marks, as far as they have room; all are told below."""
    texts: list[Text] = []
    for lot, mark in found[:most]:
        words = lot.name.split(" (")[0]
        words = words if len(words) <= 22 else f"{words[:21]}…"
        wide = len(words) * CAPITAL
        anchor = "end" if mark.x + 12 + wide > frame.right else "start"
        text = Text(mark.x - 12 if anchor == "end" else mark.x + 12, mark.y + 4.5, words, anchor, strong=True)
        begin = text.x - wide if anchor == "end" else text.x
        if begin >= frame.left and all(not _overlap(text, other) for other in texts):
            texts.append(text)
    return texts


def _overlap(one: Text, other: Text) -> bool:
    def ends(text: Text) -> tuple[float, float]:
        wide = len(text.words) * CAPITAL
        return (text.x - wide, text.x) if text.anchor == "end" else (text.x, text.x + wide)

    (a, b), (c, d) = ends(one), ends(other)
    return abs(one.y - other.y) < 15 and a < d and c < b
