"""Which lots, products and sites stand out. Pure: no Django, no database. signal_rows.py brings the rows.

A signal says where to look; it is no proof. An event is an infusion with a reaction, however many it had.

A lot is compared with the clinic's other infusions of the same product by Poisson MaxSPRT, whose limit holds however
often one looks while infusions come in. A product and a site are watched in the order of time against their own
earlier rate: Bernoulli CUSUM with a head start, over the infusions of this calendar year against the years before it.
The period stays the same all year: a boundary that moved with every look would deal the infusions out anew each day,
and the stated chance of a false alarm would hold for none of them.

Signatures
    lots_that_stand_out(cases) -> list[Finding]
    watch(subject, cases, watched_from) -> Watched          a finding, or why there is none to be had
    came_again(finding, decided_events, decided_infusions) -> bool
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from math import ceil

from reactions.rates.statistics import wilson
from reactions.rates.surveillance import critical_value, cusum, cusum_limit, log_likelihood_ratio, lot_against_rest
from reactions.vocabulary import SignalKind

# Fewer events are never a signal (a minimum for MaxSPRT: Kulldorff & Silva, REVSTAT 2015;13:373; that it is three here
# is this project's choice).
LEAST_EVENTS = 3
# The chance of a false alarm, for each lot, product or site alone. This project's own choice, as are the spans: for a
# lot, so many expected reactions; for a product or site, so many infusions of a year.
FALSE_ALARM = 0.05
WITHIN_EXPECTED, WITHIN_INFUSIONS = 20.0, 1000
ODDS_RATIO = 2.0
LEAST_BASELINE = 100
# The rate that is expected is an estimate itself: the upper end of this interval stands for it.
BASELINE_LEVEL = 0.8
# Below it a single event would be an alarm; above it odds cannot double visibly.
LOWEST_BASELINE, HIGHEST_BASELINE = 0.002, 0.7

WRITTEN = "were written down by one person"

LOT_METHOD = (
    "Poisson MaxSPRT (Kulldorff and others 2011) against the clinic's other infusions of the product, in this calendar"
    " year and the two before it."
)
LOT_FALSE_ALARM = (
    "If nothing is wrong with a lot, the chance that it is ever called is at most 1 in 20 until 20 reactions are"
    " expected of it, however often it is looked at. So of 20 lots about 1 may be called by chance alone. This holds as"
    " long as infusions are independent of each other; those of one patient are not quite."
)
WATCH_METHOD = (
    "Bernoulli CUSUM for doubled odds, with a head start (Steiner and others 2000; Lucas & Crosier 1982), over the"
    " infusions of this calendar year in the order of time."
)
WATCH_FALSE_ALARM = (
    "If nothing has changed, the chance of an alarm is at most 1 in 20 within 1,000 infusions of a year, for this one"
    " alone. This holds as long as infusions are independent of each other; those of one patient are not quite."
)


@dataclass(frozen=True, slots=True)
class Case:
    """One infusion, as far as a signal needs it.

    `day` is on the clinic's clocks, `lots` are in capitals, `highest_rate` is in mL/h and None where none was recorded.
    `written_by` recorded the reaction; None where there was none. `first` is the patient's first that is recorded.
    """

    pk: int
    patient: int
    started_at: datetime
    day: date
    product: str
    setting: str
    written_by: int | None
    first: bool
    lots: frozenset[str]
    highest_rate: Decimal | None
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
    matter. `compared` are the patients of the infusions that it was compared with. `checks` say what to look at first.
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
    compared: frozenset[int]
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
    def expected_rate(self) -> float:
        """Expected events an infusion."""
        return self.expected / self.total

    @property
    def words(self) -> str:
        expected = f"{self.expected:.1f}" if self.expected >= 0.1 else "less than 0.1"
        where = "the last " if self.alarm_at == self.infusions else ""
        until = "" if self.alarm_at in {None, self.infusions} else f" up to {self.behind[-1].day}"
        return (
            f"{_many(self.observed, 'reaction')} in {where}{_many(self.total, 'infusion')}{until}, given to"
            f" {_many(self.patients, 'patient')}; {expected} expected."
        )


@dataclass(frozen=True)
class Watched:
    """What came of watching a product or a site: a finding or none, or in `why_not` why it cannot be watched yet."""

    finding: Finding | None = None
    why_not: str = ""


def came_again(finding: Finding, decided_events: int, decided_infusions: int) -> bool:
    """Clearly more came since a decision that was taken at so many events and infusions.

    At least three further events, and an alarm of their own: a lot by what was given since the decision, a product or
    site by an alarm that came after it.
    """
    events = finding.events - decided_events
    if finding.alarm_at is None:
        infusions = max(0, finding.infusions - decided_infusions)
        return _is_called(events, finding.expected_rate * infusions)
    return events >= LEAST_EVENTS and finding.alarm_at > decided_infusions


def _is_called(events: int, expected: float) -> bool:
    critical = critical_value(WITHIN_EXPECTED, FALSE_ALARM, LEAST_EVENTS)
    return events >= LEAST_EVENTS and log_likelihood_ratio(events, expected) >= critical


def lots_that_stand_out(cases: Iterable[Case]) -> list[Finding]:
    """The lots with more events than the product's other infusions let expect, the clearest first.

    An infusion with vials of several lots counts for each of them. A lot that is all there is of its product is
    compared with nothing.
    """
    by_product: dict[str, list[Case]] = defaultdict(list)
    by_lot: dict[tuple[str, str], list[Case]] = defaultdict(list)
    for case in cases:
        by_product[case.product].append(case)
        for lot in case.lots:
            by_lot[case.product, lot].append(case)
    reacted = {product: sum(case.event for case in own) for product, own in by_product.items()}
    found = []
    for (product, lot), own in by_lot.items():
        events, total = sum(case.event for case in own), len(by_product[product]) - len(own)
        rest_events = reacted[product] - events
        if not total:
            continue
        rate = wilson(rest_events, total, BASELINE_LEVEL).high
        if _is_called(events, rate * len(own)):
            rest = [case for case in by_product[product] if lot not in case.lots]
            found.append(_lot_finding(Subject(SignalKind.LOT, product, lot), own, rest, rate))
    return sorted(found, key=lambda one: -log_likelihood_ratio(one.observed, one.expected))


def _lot_finding(subject: Subject, own: list[Case], rest: list[Case], rate: float) -> Finding:
    events, rest_events = sum(case.event for case in own), sum(case.event for case in rest)
    chance = lot_against_rest(events, len(own), rest_events, len(rest))
    return _finding(
        subject,
        own,
        rate=rate,
        events=events,
        infusions=len(own),
        alarm_at=None,
        compared=frozenset(case.patient for case in rest),
        compared_with=(
            f"{rest_events} of {len(rest)} other infusions of {subject.product} with a reaction; {_stands_for(rate)}"
            f" One look alone, by the exact test: {_chance(chance)}."
        ),
        method=LOT_METHOD,
        false_alarm=LOT_FALSE_ALARM,
    )


def _stands_for(rate: float) -> str:
    level, expected = 100 * BASELINE_LEVEL, 100 * rate
    return f"the upper end of their {level:.0f} % interval (Wilson), {expected:.1f} %, is what is expected."


def _chance(p: float) -> str:
    return f"p = {p:.2g}" if p >= 0.001 else "p < 0.001"


def watch(subject: Subject, cases: Sequence[Case], watched_from: date) -> Watched:
    """Watch the subject's infusions, given in the order of time, from a day on against all before it."""
    before = [case for case in cases if case.day < watched_from]
    own = [case for case in cases if case.day >= watched_from]
    if len(before) < LEAST_BASELINE:
        return Watched(why_not=f"{len(before)} of {LEAST_BASELINE} infusions to compare with")
    events = sum(case.event for case in before)
    # Rounded up, so that a limit is computed once for many.
    upper = max(LOWEST_BASELINE, ceil(wilson(events, len(before), BASELINE_LEVEL).high * 1000) / 1000)
    if upper > HIGHEST_BASELINE:
        return Watched(why_not=f"{events} of {len(before)} infusions with a reaction before leave no room for more")
    limit = cusum_limit(upper, WITHIN_INFUSIONS, FALSE_ALARM, ODDS_RATIO)
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
        compared=frozenset(case.patient for case in before),
        compared_with=(
            f"{events} of {len(before)} infusions in the two years before {watched_from} with a reaction;"
            f" {_stands_for(upper)}"
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


def _checks(behind: Sequence[Case]) -> list[str]:
    """What may explain events that come together: how many share it, beside how many of all infusions do.

    Only a reaction has somebody who wrote it down.
    """
    events = [case for case in behind if case.event]
    shared: list[tuple[str, Callable[[Case], object]]] = [
        ("are of one patient", lambda case: case.patient),
        ("are of one day", lambda case: case.day),
        (WRITTEN, lambda case: case.written_by),
        ("are of a patient's first recorded infusion", lambda case: case.first or None),
        ("were given in one setting", lambda case: case.setting),
        ("were given at the same highest rate", lambda case: case.highest_rate),
    ]
    told = []
    for words, key in shared:
        values = Counter(value for value in map(key, events) if value is not None)
        for value, count in values.most_common(1):
            if count == 1:
                continue
            of_all = sum(key(case) == value for case in behind)
            beside = "" if words == WRITTEN else f", and {of_all} of the {len(behind)} infusions,"
            told.append(f"{count} of the {len(events)} reactions{beside} {words}")
    return told


def _many(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
