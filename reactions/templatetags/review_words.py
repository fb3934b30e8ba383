"""Words about what patients reported."""

from django import template

from reactions.models import Answer
from reactions.words import answer_lines, answered_how

register = template.Library()

register.filter("answered_how", answered_how)


@register.filter
def report_line(answer: Answer) -> str:
    """“Headache: severe, still there; Began: 2026-05-04 18:00”, without the answer to the first question."""
    lines = answer_lines(answer)
    told = [f"{name}: {words}" for name, words in lines.items() if name != "New or worse problem"]
    return "; ".join(told) or ("A problem without a symptom named" if answer.has_problem else "No problem any more")
