"""Whether a form has become a record: asked by the page that sent it, and said when it comes once more."""

from uuid import UUID

from django.http import HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from patients.access import StaffRequest
from patients.models import IgaResult, Patient
from reactions.models import (
    Answer,
    CausalityAssessment,
    Infusion,
    PhoneCall,
    RateStep,
    Reaction,
    ResponseMeasures,
    ReviewDecision,
    Treatment,
    Vial,
    Vitals,
)

# What is made by a form with a submission id, and the way to its patient.
MADE_BY_FORMS = (
    (Vitals, "infusion__patient"),
    (RateStep, "infusion__patient"),
    (Treatment, "infusion__patient"),
    (Vial, "infusion__patient"),
    (Infusion, "patient"),
    (Reaction, "infusion__patient"),
    (CausalityAssessment, "reaction__infusion__patient"),
    (ResponseMeasures, "patient"),
    (IgaResult, "patient"),
    (ReviewDecision, "checkin__infusion__patient"),
    (PhoneCall, "patient"),
    (Answer, "checkin__infusion__patient"),
)


@require_safe
@never_cache
def was_saved(request: StaffRequest, submission_id: UUID) -> HttpResponse:
    """204 when a record of the person's clinics was made by the form, 404 when there is none."""
    patients = Patient.objects.visible_to(request.user)
    saved = any(
        model._default_manager.filter(submission_id=submission_id, **{f"{path}__in": patients}).exists()
        for model, path in MADE_BY_FORMS
    )
    return HttpResponse(status=204 if saved else 404)


def saved_before(name: str, pk: int) -> SafeString:
    """What is said of a form that comes again with other words: it leads to the record, at the address `name`."""
    said = "This form was saved already, as it was before you changed it."
    return format_html(
        '{} <a href="{}">Look at what is stored, and correct it there.</a>', said, reverse(name, args=[pk])
    )
