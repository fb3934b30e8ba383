"""Which lots, products and settings stand out. Pure: no Django, no database. signal_rows.py brings the rows.

A signal says where to look; it is no proof. An event is an infusion with a reaction, however many it had.

A lot is compared with the clinic's other infusions of the same product by Poisson MaxSPRT, whose limit holds however
often one looks while infusions come in. A product, a setting and the whole clinic are watched in the order of time
against their own earlier rate: Bernoulli CUSUM with a head start, over the infusions of this calendar year against the
years before it.
The period stays the same all year: a boundary that moved with every look would deal the infusions out anew each day,
and the stated chance of a false alarm would hold for none of them.

Signatures
    lots_that_stand_out(cases) -> list[Finding]
    watch(subject, cases, watched_from, decided=None) -> Watched      a finding, or why there is none to be had
    came_again(finding, decided) -> bool
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from math import ceil

from reactions.rates.statistics import cluster_robust, wilson
from reactions.rates.surveillance import (
    benjamini_hochberg,
    critical_value,
    cusum,
    cusum_limit,
    log_likelihood_ratio,
    lot_against_rest,
)
from reactions.vocabulary import SignalKind

# Fewer events are never a signal (a minimum for MaxSPRT: Kulldorff & Silva, REVSTAT 2015;13:373; that it is three here
# is this project's choice).
LEAST_EVENTS = 3
# The chance of a false alarm, for each lot, product or setting alone. This project's own choice, as are the spans: for
# a lot, so many expected reactions; for a product or setting, so many infusions of a year.
FALSE_ALARM = 0.05
WITHIN_EXPECTED, WITHIN_INFUSIONS = 20.0, 1000
ODDS_RATIO = 2.0
LEAST_BASELINE = 100
# Reactions to what was given so shortly before a look may not be written down yet.
SETTLED_AFTER = timedelta(days=7)
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
    " infusions of this calendar year in the order of time. Its limit is raised by the design effect of courses before:"
    " by as much as reactions gather in the courses of those who react."
)
# Simulated: 20 patients in random order, courses of 1, 2 and 5 infusions, 10 % reactions gathering in patients with an
# intraclass correlation up to 0.5, 2,000 infusions before: 0 to 4 % false alarms within 1,000. With the limit of
# independent infusions there were up to 51 %.
WATCH_FALSE_ALARM = (
    "If nothing has changed, the chance of an alarm is at most 1 in 20 within 1,000 infusions since the year began, or"
    " since it was decided about, for this one alone. This holds also where some patients react more than others, as"
    " long as their courses come in no particular order."
)


@dataclass(frozen=True, slots=True)
class Case:
    """One infusion, as far as a signal needs it.

    `day` is on the clinic's clocks, `lots` are in capitals, `highest_rate` is in mL/h and None where none was recorded.
    `written_by` recorded the reaction; None where there was none. `first` is the patient's first that is recorded.
    `recorded_at` is when the infusion was.
    """

    pk: int
    patient: int
    course: int
    started_at: datetime
    day: date
    product: str
    setting: str
    written_by: int | None
    first: bool
    lots: frozenset[str]
    highest_rate: Decimal | None
    recorded_at: datetime
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
    `reacted` are the keys of the infusions with all its events.
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
    reacted: tuple[int, ...]

    @property
    def period(self) -> str:
        """The year in which a product or setting is watched; empty for a lot. Another year is another signal."""
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
    """What came of watching a product or a setting: a finding or none, or in `why_not` why it cannot be watched yet."""

    finding: Finding | None = None
    why_not: str = ""


@dataclass(frozen=True)
class Decided:
    """What was known of a subject when it was decided about: the latest look then, and its infusions with a reaction.

    Infusions are told apart, not counted: totals of two looks would be of two periods.
    """

    at: datetime
    reacted: frozenset[int]

    def is_new(self, case: Case) -> bool:
        """It has a reaction that was not known, or nobody knew then how it would go."""
        if case.pk in self.reacted:
            return False
        return case.event or case.recorded_at > self.at or case.started_at > self.at - SETTLED_AFTER


def came_again(finding: Finding, decided: Decided) -> bool:
    """Clearly more came since the decision: at least three further events that stand out by themselves.

    A product or setting is watched from the decision on, so that whatever is found of it came since.
    """
    if finding.alarm_at is not None:
        return True
    new = [case for case in finding.behind if decided.is_new(case)]
    return _is_called(sum(case.event for case in new), finding.expected_rate * len(new))


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
    counts = {
        key: (events := sum(case.event for case in own), len(own), reacted[key[0]] - events, total)
        for key, own in by_lot.items()
        if (total := len(by_product[key[0]]) - len(own))
    }
    # Adjusted over all lots that are compared, whether they stand out or not.
    chances = [lot_against_rest(*numbers) for numbers in counts.values()]
    adjusted = benjamini_hochberg(chances)
    found = []
    for number, ((product, lot), (events, given, rest_events, total)) in enumerate(counts.items()):
        rate = wilson(rest_events, total, BASELINE_LEVEL).high
        if _is_called(events, rate * given):
            rest = [case for case in by_product[product] if lot not in case.lots]
            exact = f"{_chance(chances[number])}, {_chance(adjusted[number])} adjusted over {_many(len(counts), 'lot')}"
            subject = Subject(SignalKind.LOT, product, lot)
            found.append(_lot_finding(subject, by_lot[product, lot], rest, rate, exact))
    return sorted(found, key=lambda one: -log_likelihood_ratio(one.observed, one.expected))


def _lot_finding(subject: Subject, own: list[Case], rest: list[Case], rate: float, exact: str) -> Finding:
    rest_events = sum(case.event for case in rest)
    return _finding(
        subject,
        own,
        rate=rate,
        of=own,
        alarm_at=None,
        compared=frozenset(case.patient for case in rest),
        compared_with=(
            f"{rest_events} of {len(rest)} other infusions of {subject.product} with a reaction; {_stands_for(rate)}"
            f" One look alone, by the exact test: {exact}."
        ),
        method=LOT_METHOD,
        false_alarm=LOT_FALSE_ALARM,
    )


def _stands_for(rate: float) -> str:
    level, expected = 100 * BASELINE_LEVEL, 100 * rate
    return f"the upper end of their {level:.0f} % interval (Wilson), {expected:.1f} %, is what is expected."


def _chance(p: float) -> str:
    return f"p = {p:.2g}" if p >= 0.001 else "p < 0.001"


def watch(subject: Subject, cases: Sequence[Case], watched_from: date, decided: Decided | None = None) -> Watched:
    """Watch the subject's infusions, given in the order of time, from a day on against all before it.

    After a decision the path starts anew, with what was not known then.
    """
    before = [case for case in cases if case.day < watched_from]
    own = [case for case in cases if case.day >= watched_from and (decided is None or decided.is_new(case))]
    if len(before) < LEAST_BASELINE:
        return Watched(why_not=f"{len(before)} of {LEAST_BASELINE} infusions to compare with")
    events = sum(case.event for case in before)
    # Rounded up, so that a limit is computed once for many.
    upper = max(LOWEST_BASELINE, ceil(wilson(events, len(before), BASELINE_LEVEL).high * 1000) / 1000)
    if upper > HIGHEST_BASELINE:
        return Watched(why_not=f"{events} of {len(before)} infusions with a reaction before leave no room for more")
    limit = cusum_limit(upper, WITHIN_INFUSIONS, FALSE_ALARM, ODDS_RATIO) * _gathering(before)
    path = cusum([case.event for case in own], [upper] * len(own), limit, ODDS_RATIO)
    climb = _last_climb(own, path, limit)
    if climb is None:
        return Watched()
    finding = _finding(
        subject,
        own[climb.start : climb.stop],
        rate=upper,
        of=own,
        alarm_at=climb.stop,
        compared=frozenset(case.patient for case in before),
        compared_with=(
            f"{events} of {len(before)} infusions in the two years before {watched_from} with a reaction;"
            f" {_stands_for(upper)}"
        ),
        method=WATCH_METHOD,
        false_alarm=WATCH_FALSE_ALARM,
    )
    return Watched(finding)


def _gathering(cases: Iterable[Case]) -> float:
    """How much less the infusions tell than as many independent ones, since a course's go alike; at least 1.

    The design effect over courses (statistics.cluster_robust), times (k−1)/k for k courses, which makes it 1 where each
    has one infusion. To raise a CUSUM's limit by a factor is to let each infusion count for so much less.
    """
    courses: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for case in cases:
        courses[case.course][0] += case.event
        courses[case.course][1] += 1
    effect = cluster_robust((events, units) for events, units in courses.values()).design_effect
    return max(1.0, effect * (len(courses) - 1) / len(courses)) if effect else 1.0


def _last_climb(cases: Sequence[Case], path: Sequence[float], limit: float) -> range | None:
    """The infusions with which the path last rose to the limit, since it lay at 0 or reached it before.

    An alarm of fewer than three events is none: those that follow are counted on.
    """
    begin, found = 0, None
    for number, value in enumerate(path):
        if value == 0:
            begin = number + 1
        elif value >= limit and sum(one.event for one in cases[begin : number + 1]) >= LEAST_EVENTS:
            found = range(begin, number + 1)
            begin = number + 1
    return found


def _finding(subject: Subject, behind: list[Case], *, rate: float, of: list[Case], **told: object) -> Finding:
    """Made by the infusions `behind`, out of all that were looked at."""
    return Finding(
        subject=subject,
        observed=sum(case.event for case in behind),
        total=len(behind),
        patients=len({case.patient for case in behind}),
        expected=rate * len(behind),
        first_at=behind[0].started_at,
        last_at=behind[-1].started_at,
        events=sum(case.event for case in of),
        infusions=len(of),
        reacted=tuple(sorted(case.pk for case in of if case.event)),
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
