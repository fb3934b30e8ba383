"""A rate in words, and what the words mean: the same on the page and in the printed report."""

from patients.models import STATUS_LABELS
from reactions.rates.answer import Rate, percent
from reactions.rates.question import Question, label_of

NO_BREAK = "\N{NO-BREAK SPACE}"
# Of fewer patients the variance between them is hardly known. This project's own.
LEAST_FOR_CLUSTERS = 10


def definitions(question: Question) -> list[str]:
    """What the words of the tables mean, whatever was found."""
    return [
        "What patients answered in check-ins is not counted until a clinician accepts it as a reaction. How cases are"
        " found changes rates many times over.",
        f"Check-ins answered: of the {question.unit}s whose course a check-in asked about, those of which the patient"
        " answered one. An answer, early or late, counts for the whole course. A problem about which nobody has decided"
        " counts as silence.",
        "IgA status is the result in force on the day of the infusion: deficient below 7 mg/dL, partial below the"
        " laboratory's range, indeterminate where a result such as “< 25 mg/dL” leaves it open.",
        "Premedication is what was given before the start. “With corticosteroid” counts whatever else was given;"
        " antihistamines are H1 blockers; “other only” is none of these groups; “not recorded” is silence, not “none”.",
        "An infusion counts from its start, also while it runs. One whose end nobody wrote down is taken to have ended"
        " within a day.",
        "A reaction counts whatever was judged to be its cause.",
        "Per patient means at least one, and grows with how many infusions they had: read it beside the infusions.",
        "0 events do not mean that reactions cannot happen: the upper bound says how often they still could.",
    ]


def interval(rate: Rate) -> str:
    """“0.85 to 7.09 %”, in one piece; empty without an interval."""
    return _bounds(rate.interval.low, rate.interval.high) if rate.interval else ""


def bounds_of_silence(rate: Rate) -> str:
    """The rate if no unit of which nobody told had an event, and if each of them had one; empty without units."""
    return _bounds(rate.rate, rate.worst) if rate.total else ""


def clustered(rate: Rate) -> str:
    """The cluster-robust interval with its design effect; says why where there is none."""
    if rate.clustered is None:
        return ""
    if rate.patients == 1:
        return "one patient only"
    if rate.clustered.design_effect is None:
        return "no spread between patients"
    bounds = _bounds(rate.clustered.interval.low, rate.clustered.interval.high)
    return f"{bounds}, design effect {rate.clustered.design_effect:.2f}"


def repeated(rate: Rate) -> str:
    """The cluster-robust interval where it is to be trusted, for a cell that shows another one; else empty."""
    if rate.clustered is None or rate.clustered.design_effect is None or rate.interval is None:
        return ""
    is_enough = rate.patients >= LEAST_FOR_CLUSTERS and rate.clustered.design_effect >= 1
    if not is_enough or rate.interval.method == "cluster":
        return ""
    return _bounds(rate.clustered.interval.low, rate.clustered.interval.high)


def trusted(rate: Rate) -> str:
    """Which interval to trust of a rate whose units repeat within patients; empty without a second interval."""
    if rate.clustered is None or rate.clustered.design_effect is None:
        return ""
    if rate.patients < LEAST_FOR_CLUSTERS:
        return f"Fewer than {LEAST_FOR_CLUSTERS} patients are too few for it: rather count the patients."
    if rate.clustered.design_effect < 1:
        return "It is narrower only because patients happen to be alike here: trust the wider one."
    return "Where the two differ, trust this one."


def _bounds(low: float | None, high: float | None) -> str:
    """In one piece, so that a narrow column does not break it."""
    return f"{percent(low)} to {percent(high)} %".replace(" ", NO_BREAK)


def stratum_label(key: str, value: object) -> str:
    """A stratum's value as the page's table heads it."""
    return STATUS_LABELS[str(value)] if key == "iga" else label_of(key, value)
