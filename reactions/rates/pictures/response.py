"""How many check-ins are answered: of each kind, those that were answered of those that were sent. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reactions.rates.answer import percent
from reactions.rates.pictures.drawing import Drawing, Frame, Mark, Picture, Stroke, Table, Text, round_scale, share
from reactions.rates.statistics import wilson

OTHERS = "Other check-ins"
TITLE = "Check-ins that were answered"
SHOWS = "Of each kind of check-in: those answered, of those sent after these infusions, with Wilson's 95 % interval."


@dataclass(frozen=True)
class Kind:
    """Check-ins of one kind whose mail left; `open` of them can still be answered."""

    label: str
    sent: int
    answered: int
    open: int


def answered(kinds: Iterable[Kind], *, pooled: int = 0, least_patients: int = 0) -> Picture:
    """The kinds in the order in which they are given. `pooled` of them stand together as OTHERS."""
    kinds = [kind for kind in kinds if kind.sent]
    if not kinds:
        why = "No check-in was sent after these infusions."
        if pooled:
            why = f"Check-ins were sent to fewer than {least_patients} patients here, so none are counted."
        return Picture("response", TITLE, SHOWS, "", empty=why)
    said = []
    if waiting := sum(kind.open for kind in kinds):
        said.append(f"{waiting} of those sent can still be answered.")
    if pooled and least_patients:
        said.append(
            f"{pooled} kinds stand together, for each went to fewer than {least_patients} patients or told of so few."
        )
    return Picture(
        key="response",
        title=TITLE,
        shows=SHOWS,
        reading=(
            "Who does not answer may have had more trouble or less: where few answer, what patients report says little"
            " about the others. Sent are those whose mail left, whatever became of it on its way."
        ),
        wide=_draw(kinds, narrow=False),
        narrow=_draw(kinds, narrow=True),
        said=tuple(said),
        table=Table(
            "Check-ins answered, of those sent",
            ("Check-in", "Answered of sent", "95 % interval", "Can still be answered"),
            tuple((kind.label, share(kind.answered, kind.sent), _interval(kind), str(kind.open)) for kind in kinds),
        ),
    )


def _interval(kind: Kind) -> str:
    ends = wilson(kind.answered, kind.sent)
    return f"{percent(ends.low)} to {percent(ends.high)} %"


def _draw(kinds: Sequence[Kind], *, narrow: bool) -> Drawing:
    """Lines of intervals one below the other; a phone has the words above each."""
    width, left, right = (360, 12, 340) if narrow else (960, 390, 730)
    row, top = (78, 30) if narrow else (36, 34)
    frame = Frame(left, right, top, top + row * len(kinds))
    step, highest = round_scale(1.0)
    at = [step * number for number in range(round(highest / step) + 1)]
    grid = Stroke("grid", tuple(((frame.x(share_), top - 6), (frame.x(share_), frame.bottom)) for share_ in at))
    texts = [
        Text(frame.x(share_), 18, f"{share_ * 100:g} %", _anchor(number, len(at), narrow))
        for number, share_ in enumerate(at)
    ]
    runs, marks = [], []
    for number, kind in enumerate(kinds):
        y = top + row * number + (60 if narrow else row / 2)
        ends = wilson(kind.answered, kind.sent)
        runs.append(((frame.x(ends.low), y), (frame.x(ends.high), y)))
        marks.append(Mark("dot", frame.x(kind.answered / kind.sent), y))
        words = f"{kind.answered}/{kind.sent} · {percent(kind.answered / kind.sent)} %"
        if narrow:
            texts.append(Text(left, y - 36, _shortened(kind.label, 44)))
            texts.append(Text(left, y - 18, words, strong=True))
        else:
            texts.append(Text(left - 16, y + 4.5, _shortened(kind.label, 50), "end"))
            texts.append(Text(right + 24, y + 4.5, words))
    return Drawing(width, frame.bottom + 10, (grid, Stroke("interval", tuple(runs))), tuple(marks), tuple(texts))


def _anchor(number: int, count: int, narrow: bool) -> str:
    if not narrow:
        return "middle"
    return "start" if number == 0 else "end" if number == count - 1 else "middle"


def _shortened(words: str, most: int) -> str:
    return words if len(words) <= most else f"{words[: most - 1]}…"
