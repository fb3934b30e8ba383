"""Words of the pages about a reaction, and the banner that tells of anaphylaxis."""

from typing import Any

from django import template

from patients.models import Patient
from reactions.clinical.seriousness import CRITERIA
from reactions.models import AnaphylaxisRecord, Reaction
from reactions.vocabulary import MOMENT_LABELS
from reactions.words import cause_words, serious_words

register = template.Library()

register.filter("serious_words", serious_words)


@register.filter
def criteria_labels(reaction: Reaction) -> list[str]:
    """The criteria of seriousness that are met, by name."""
    return [text.label for code, text in CRITERIA.items() if code in reaction.serious_criteria]


@register.filter
def cause(reaction: Reaction) -> str:
    """The newest judgement of the cause."""
    return cause_words(reaction.causality.first())


@register.filter
def lookup(values: dict[str, Any], name: str) -> Any:
    """The value of that name; empty when there is none."""
    return values.get(name, "")


@register.filter
def moment_label(name: str) -> str:
    """A moment of suspected anaphylaxis by name."""
    return MOMENT_LABELS[name]


@register.inclusion_tag("reactions/anaphylaxis_banner.html")
def anaphylaxis_banner(patient: Patient) -> dict[str, Any]:
    """Reactions of the patient that meet published criteria of anaphylaxis; one query, nothing shown without one."""
    met = AnaphylaxisRecord.objects.meeting_criteria().filter(reaction__infusion__patient=patient)
    records = met.select_related("reaction__infusion").order_by("-reaction__onset_at", "-pk")
    return {"records": records, "patient": patient}
