"""Words that timelines and record pages share."""

from django import template

from reactions.delivery import Delivery
from reactions.models import CheckIn, Infusion, Reaction
from reactions.vocabulary import CheckInState, PremedicationRecord
from reactions.words import OnsetInWords, onset_in_words

register = template.Library()


@register.simple_tag
def onset(reaction: Reaction, infusion: Infusion) -> OnsetInWords | None:
    """When the reaction began, counted from the infusion; None when that is not known."""
    return onset_in_words(reaction, infusion)


@register.simple_tag
def premedication_words(infusion: Infusion) -> str:
    """The drugs by name, “none given” or “not recorded”."""
    if infusion.premedication_record == PremedicationRecord.GIVEN:
        return ", ".join(drug.name for drug in infusion.premedications.all())
    return str(infusion.get_premedication_record_display()).lower()


@register.simple_tag
def lots(infusion: Infusion) -> list[str]:
    """Each lot once, in the order of the vials."""
    return list(dict.fromkeys(vial.lot for vial in infusion.vials.all()))


@register.simple_tag
def checkin_colour(checkin: CheckIn, delivery: Delivery) -> str:
    """The tag colour of a check-in: what a patient reported is amber, though it was taken back."""
    answer = checkin.latest_answer() if checkin.state == CheckInState.ANSWERED else None
    return "amber" if answer and (answer.has_problem or checkin.taken_back()) else delivery.colour
