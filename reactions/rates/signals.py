"""Which lots, products and sites stand out. Pure: no Django, no database. signal_rows.py brings the rows.

A signal says where to look; it is no proof. An event is an infusion with a reaction, however many it had.

A lot is compared with the clinic's other infusions of the same product: one-sided exact test, adjusted over all lots
that were looked at (Benjamini & Hochberg). A product and a site are watched in the order of time against their own
earlier rate: Bernoulli CUSUM with a head start, over the infusions of this calendar year against all before it. The
period stays the same all year: a boundary that moved with every look would deal the infusions out anew each day, and
the stated chance of a false alarm would hold for none of them.

Signatures
    lots_that_stand_out(cases) -> list[Finding]
    watch(subject, cases, watched_from) -> Watched          a finding, or why there is none to be had
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from math import ceil

from reactions.rates.statistics import wilson
from reactions.rates.surveillance import benjamini_hochberg, cusum, cusum_limit, lot_against_rest
from reactions.vocabulary import SignalKind

# CLINICAL.md 9.5: fewer events are never a signal.
LEAST_EVENTS = 3
# Of the lots that are called at one look, the share that may be called falsely.
FALSE_DISCOVERY_RATE = 0.05
# A product or site: the chance of a false alarm within so many infusions of a year. This project's own choice.
FALSE_ALARM, WITHIN = 0.05, 1000
ODDS_RATIO = 2.0
LEAST_BASELINE = 100
# The baseline is an estimate itself: the upper end of this interval stands for it.
BASELINE_LEVEL = 0.8
# Below it a single event would be an alarm; above it odds cannot double visibly.
LOWEST_BASELINE, HIGHEST_BASELINE = 0.002, 0.7

LOT_METHOD = (
    "One-sided exact test (hypergeometric, Fisher) of the lot against the clinic's other infusions of the product in"
    " the last two years, adjusted over all lots looked at (Benjamini & Hochberg 1995)."
)
LOT_FALSE_ALARM = (
    "Of the lots that are called at one look, no more than 1 in 20 is expected to be called by chance alone, as long as"
    " infusions are independent of each other. Those of one patient are not quite, and the lots are looked at every"
    " day: both make false calls more frequent than that."
)
WATCH_METHOD = (
    "Bernoulli CUSUM for doubled odds, with a head start (Steiner 2000; Lucas & Crosier 1982), over the infusions of"
    " this calendar year in the order of time."
)
WATCH_FALSE_ALARM = (
    "Without any change, the chance of a false alarm is at most 1 in 20 within 1,000 infusions of a year, for this one"
    " alone, as long as infusions are independent of each other and the baseline lies below the upper end that was"
    " taken."
)


@dataclass(frozen=True)
class Case:
    """One infusion, as far as a signal needs it. `day` is on the clinic's clocks, `lots` are in capitals."""

    pk: int
    patient: int
    started_at: datetime
    day: date
    product: str
    setting: str
    recorded_by: int
    lots: frozenset[str]
    event: bool


@dataclass(frozen=True)
class Subject:
    """What a finding is about. An empty part does not matter: without product and setting, it is the whole clinic."""

    kind: SignalKind
    product: str = ""
    lot: str = ""
    setting: str = ""


@dataclass(frozen=True)
class Finding:
    """`observed` events of `total` infusions of `patients` patients, where `expected` were to be expected.

    These are the infusions that made the signal, from `first_at` to `last_at`. `events` and `infusions` are all that
    were looked at of the subject; the alarm came with infusion number `alarm_at` of these, None where order does not
    matter. `checks` say what to look at first.
    """

    subject: Subject
    observed: int
    total: int
    patients: int
    expected: float
    first_at: datetime
    last_at: datetime
    events: int
    infusions: int
    alarm_at: int | None
    compared_with: str
    method: str
    false_alarm: str
    behind: tuple[Case, ...]
    checks: tuple[str, ...]

    @property
    def period(self) -> str:
        """The year in which a product or site is watched; empty for a lot. Another year is another signal."""
        return str(self.behind[0].day.year) if self.alarm_at is not None else ""

    @property
    def words(self) -> str:
        where = "the last " if self.alarm_at == self.infusions else ""
        until = "" if self.alarm_at in {None, self.infusions} else f" up to {self.behind[-1].day}"
        return (
            f"{_many(self.observed, 'reaction')} in {where}{_many(self.total, 'infusion')}{until}, given to"
            f" {_many(self.patients, 'patient')}; {self.expected:.1f} expected."
        )


@dataclass(frozen=True)
class Watched:
    """What came of watching a product or a site: a finding or none, or in `why_not` why it cannot be watched yet."""

    finding: Finding | None = None
    why_not: str = ""


def came_again(finding: Finding, decided_events: int, decided_infusions: int) -> bool:
    """Clearly more came since a decision that was taken at so many events and infusions.

    At least three further events, and it stands out still: a lot by the same test, a product or site by an alarm
    that came after the decision.
    """
    further = finding.events - decided_events >= LEAST_EVENTS
    return further and (finding.alarm_at is None or finding.alarm_at > decided_infusions)


def lots_that_stand_out(cases: Sequence[Case]) -> list[Finding]:
    """The lots with more events than the product's other infusions let expect, the clearest first.

    An infusion with vials of several lots counts for each of them.
    """
    by_product: dict[str, Counter[bool]] = defaultdict(Counter)
    by_lot: dict[tuple[str, str], list[Case]] = defaultdict(list)
    for case in cases:
        by_product[case.product][case.event] += 1
        for lot in case.lots:
            by_lot[case.product, lot].append(case)
    chances, rests = [], []
    for (product, _), own in by_lot.items():
        events = sum(case.event for case in own)
        rest_events = by_product[product][True] - events
        rest_total = by_product[product].total() - len(own)
        rests.append((rest_events, rest_total))
        chances.append(lot_against_rest(events, len(own), rest_events, rest_total))
    adjusted = benjamini_hochberg(chances)
    found = []
    for ((product, lot), own), rest, chance in zip(by_lot.items(), rests, adjusted, strict=True):
        if chance <= FALSE_DISCOVERY_RATE and sum(case.event for case in own) >= LEAST_EVENTS:
            found.append((chance, _lot_finding(product, lot, own, rest, chance)))
    return [finding for _, finding in sorted(found, key=lambda one: (one[0], one[1].subject.lot))]


def _lot_finding(product: str, lot: str, own: list[Case], rest: tuple[int, int], chance: float) -> Finding:
    events, total = rest
    return _finding(
        Subject(SignalKind.LOT, product, lot),
        own,
        rate=events / total if total else 0.0,
        events=sum(case.event for case in own),
        infusions=len(own),
        alarm_at=None,
        compared_with=f"{events} of {total} other infusions of {product} with a reaction; adjusted p = {chance:.2g}.",
        method=LOT_METHOD,
        false_alarm=LOT_FALSE_ALARM,
    )


def watch(subject: Subject, cases: Sequence[Case], watched_from: date) -> Watched:
    """Watch the subject's infusions, given in the order of time, from a day on against all before it."""
    before = [case for case in cases if case.day < watched_from]
    own = [case for case in cases if case.day >= watched_from]
    if len(before) < LEAST_BASELINE:
        return Watched(why_not=f"{len(before)} of {LEAST_BASELINE} infusions before {watched_from} for a baseline")
    events = sum(case.event for case in before)
    # Rounded up, so that a limit is computed once for many.
    upper = max(LOWEST_BASELINE, ceil(wilson(events, len(before), BASELINE_LEVEL).high * 1000) / 1000)
    if upper > HIGHEST_BASELINE:
        return Watched(why_not=f"{events} of {len(before)} infusions with a reaction leave no room for more")
    limit = cusum_limit(upper, WITHIN, FALSE_ALARM, ODDS_RATIO)
    path = cusum([case.event for case in own], [upper] * len(own), limit, ODDS_RATIO)
    alarm = max((number for number, value in enumerate(path) if value >= limit), default=None)
    if alarm is None:
        return Watched()
    begin = max((number + 1 for number in range(alarm) if path[number] == 0), default=0)
    climb = own[begin : alarm + 1]
    if sum(case.event for case in climb) < LEAST_EVENTS:
        return Watched()
    finding = _finding(
        subject,
        climb,
        rate=upper,
        events=sum(case.event for case in own),
        infusions=len(own),
        alarm_at=alarm + 1,
        compared_with=(
            f"{events} of {len(before)} infusions before {watched_from} with a reaction; the upper end of their"
            f" {BASELINE_LEVEL:.0%} interval (Wilson), {upper:.1%}, stands for the baseline."
        ),
        method=WATCH_METHOD,
        false_alarm=WATCH_FALSE_ALARM,
    )
    return Watched(finding)


def _finding(subject: Subject, behind: list[Case], *, rate: float, **told: object) -> Finding:
    return Finding(
        subject=subject,
        observed=sum(case.event for case in behind),
        total=len(behind),
        patients=len({case.patient for case in behind}),
        expected=rate * len(behind),
        first_at=behind[0].started_at,
        last_at=behind[-1].started_at,
        behind=tuple(behind),
        checks=tuple(_checks(behind)),
        **told,  # type: ignore[arg-type]
    )


def _checks(behind: Iterable[Case]) -> list[str]:
    """What may explain events that come together, each with how many of them share it."""
    events = [case for case in behind if case.event]
    shared: list[tuple[str, Callable[[Case], object]]] = [
        ("are of one patient", lambda case: case.patient),
        ("are of one day", lambda case: case.day),
        ("were recorded by one person", lambda case: case.recorded_by),
        ("were given in one setting", lambda case: case.setting),
    ]
    most = ((words, max(Counter(map(key, events)).values())) for words, key in shared)
    return [f"{count} of the {len(events)} {words}" for words, count in most if count > 1]


def _many(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
