"""What a picture is made of: strokes, marks and texts in the units of its drawing, and the words and table beside it.

One geometry is drawn twice: as SVG by templates/admin/pictures/drawing.html, and into the printed report by
reactions.rates.report. Both take widths, dashes and shapes from here. Colour never says anything alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from reactions.rates.answer import percent
from reactions.rates.chart import scale

Point = tuple[float, float]

# (width, dashes, opacity) of each kind of stroke.
STROKES: dict[str, tuple[float, tuple[float, ...], float]] = {
    "grid": (1, (), 0.2),
    "axis": (1, (), 0.6),
    "centre": (1.5, (), 0.9),
    "limit": (1.5, (6, 4), 0.9),
    "far-limit": (1.5, (1.5, 3.5), 0.9),
    "curve": (2.5, (), 1),
    "interval": (3, (), 0.65),
}
# The outline of each kind of mark around its place; "dot" is round.
SHAPES: dict[str, tuple[Point, ...]] = {
    "diamond": ((0, -7), (7, 0), (0, 7), (-7, 0)),
    "above": ((0, -8), (8, 6), (-8, 6)),
    "below": ((0, 8), (8, -6), (-8, -6)),
    "beyond": ((0, -6), (6, 5), (-6, 5)),
}
# Marks of which only the outline is drawn.
OPEN = frozenset({"diamond", "beyond"})
DOT_RADIUS = 4.5
TEXT_SIZE = 13
# About the width of a letter of that size, to keep texts apart.
LETTER = 7.2
# And of a bold capital or digit, of which the names of lots are made.
CAPITAL = 9.8


@dataclass(frozen=True)
class Stroke:
    """Lines of one kind, each through its points."""

    kind: str
    runs: tuple[tuple[Point, ...], ...]

    @property
    def path(self) -> str:
        return "".join("M" + "L".join(f"{x:g} {y:g}" for x, y in run) for run in self.runs)

    @property
    def width(self) -> float:
        return STROKES[self.kind][0]

    @property
    def dashes(self) -> str:
        return " ".join(f"{length:g}" for length in STROKES[self.kind][1])

    @property
    def opacity(self) -> float:
        return STROKES[self.kind][2]


@dataclass(frozen=True)
class Mark:
    kind: str
    x: float
    y: float

    @property
    def outline(self) -> tuple[Point, ...]:
        """The corners; none for a dot."""
        return tuple((round(self.x + x, 1), round(self.y + y, 1)) for x, y in SHAPES.get(self.kind, ()))


@dataclass(frozen=True)
class Marks:
    """All marks of one kind as one path, so that a thousand lots stay a small page. Dots are caps of no line."""

    kind: str
    path: str

    @property
    def is_open(self) -> bool:
        return self.kind in OPEN

    @property
    def width(self) -> float:
        """Of the line whose round ends are the dots."""
        return 2 * DOT_RADIUS


@dataclass(frozen=True)
class Text:
    """Words whose base line begins, ends or has its middle at a place."""

    x: float
    y: float
    words: str
    anchor: str = "start"
    strong: bool = False
    size: int = TEXT_SIZE


@dataclass(frozen=True)
class Drawing:
    width: float
    height: float
    strokes: tuple[Stroke, ...]
    marks: tuple[Mark, ...]
    texts: tuple[Text, ...]

    @property
    def marks_by_kind(self) -> list[Marks]:
        """Round ones first, so that those that stand out lie on top."""
        ordered = sorted(dict.fromkeys(self.marks), key=lambda mark: (mark.kind != "dot", mark.kind))
        return [
            Marks(kind, "".join(_path(mark) for mark in marks))
            for kind, marks in groupby(ordered, key=lambda mark: mark.kind)
        ]


def _path(mark: Mark) -> str:
    if not mark.outline:
        return f"M{mark.x:g} {mark.y:g}h0"
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in mark.outline) + "Z"


@dataclass(frozen=True)
class Table:
    """The numbers of a picture, in words; `rows` begin with what they are about."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Picture:
    """One picture: what it shows, how it is read, the drawing for a wide and a narrow page, and the same as a table.

    `empty` says why there is no drawing. `said` is what a reader must know beside it: what stands out, what is not
    drawn, what was put together.
    """

    key: str
    title: str
    shows: str
    reading: str
    empty: str = ""
    wide: Drawing | None = None
    narrow: Drawing | None = None
    said: tuple[str, ...] = ()
    table: Table | None = None

    @property
    def label(self) -> str:
        """The drawing for those who do not see it."""
        return f"{self.title}. {self.shows} The table below has the same numbers."


@dataclass(frozen=True)
class Gallery:
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Frame:
    """Where a plot stands, and which fraction is at its top."""

    left: float
    right: float
    top: float
    bottom: float
    highest: float = 1.0

    def y(self, fraction: float) -> float:
        return round(self.bottom - (self.bottom - self.top) * min(fraction / self.highest, 1), 1)

    def x(self, share: float) -> float:
        return round(self.left + (self.right - self.left) * share, 1)


def fraction_axis(frame: Frame, step: float) -> tuple[Stroke, list[Text]]:
    """Lines across the plot at each step, with their percentages before them."""
    count = round(frame.highest / step)
    values = [step * number for number in range(count + 1)]
    runs = tuple(((frame.left, frame.y(value)), (frame.right, frame.y(value))) for value in values)
    texts = [Text(frame.left - 8, frame.y(value) + 4.5, f"{value * 100:g} %", "end") for value in values]
    return Stroke("grid", runs), texts


@dataclass(frozen=True)
class Key:
    """What the marks and lines of a plot mean, drawn below it down to `bottom`."""

    strokes: tuple[Stroke, ...]
    marks: tuple[Mark, ...]
    texts: tuple[Text, ...]
    bottom: float


def key_of(entries: Iterable[tuple[str, str]], frame: Frame, top: float) -> Key:
    """The key for (kind, words), in as many lines as it takes."""
    strokes: list[Stroke] = []
    marks: list[Mark] = []
    texts: list[Text] = []
    left, right = frame.left, frame.right
    x, y = left, top
    for kind, words in entries:
        width = 34 + len(words) * LETTER
        if x > left and x + width > right:
            x, y = left, y + 22
        if kind in STROKES:
            strokes.append(Stroke(kind, (((x, y - 4), (x + 26, y - 4)),)))
        else:
            marks.append(Mark(kind, x + 13, y - 4))
        texts.append(Text(x + 34, y, words))
        x += width + 18
    return Key(tuple(strokes), tuple(marks), tuple(texts), y)


def round_scale(highest: float) -> tuple[float, float]:
    """(step, top) of an axis of fractions that reaches the highest, never beyond 1; 1 % where all are nothing."""
    return scale(max(highest, 0.01))


def share(part: int, whole: int) -> str:
    """“3/12 (25.0 %)”: never a bare percentage, and nothing of nothing has none."""
    return f"{part}/{whole} ({percent(part / whole)} %)" if whole else f"{part}/{whole}"


def several(count: int, word: str, plural: str = "") -> str:
    return f"{count} {word}" if count == 1 else f"{count} {plural or word + 's'}"


def one_of(words: Sequence[str], most: int = 12) -> str:
    """The words in a row, the first of them where there are too many to read."""
    rest = len(words) - most
    return "; ".join(words[:most]) + (f"; and {rest} more, in the table" if rest > 0 else "")
