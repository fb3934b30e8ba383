"""Questions counted from the records themselves, past everything that is kept ready."""

from collections.abc import Iterable

from patients.models import Clinic
from reactions.rates.counts import Counted, count_units
from reactions.rates.question import Question
from reactions.rates.strata import from_records


def count(question: Question, clinics: Iterable[Clinic]) -> Counted:
    """The question's units in the clinics, divided by its keys."""
    return count_units([from_records(question, question.by, clinics)], [question.by], [question.unit])[question.unit][0]
