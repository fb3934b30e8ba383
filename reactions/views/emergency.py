"""The page by which the record of another clinic's patient is opened in an emergency."""

from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from patients.access import StaffRequest, posted
from reactions.forms.emergency import EmergencyForm
from reactions.recording import emergencies

NOT_THERE = "No record has this number and this birth date together. Both have to be right."
WAIT = (
    "You sought several records that are not there. Wait ten minutes, or ask an administrator of the patient's clinic."
)


@require_http_methods(["GET", "HEAD", "POST"])
def emergency(request: StaffRequest) -> HttpResponse:
    """For who works with records somewhere; the others have no emergencies here."""
    if not request.user.works_somewhere:
        raise PermissionDenied
    form = EmergencyForm(posted(request))
    if form.is_valid():
        try:
            patient = emergencies.open_in_emergency(by=request.user, now=timezone.now(), **form.cleaned_data)
        except emergencies.TooManyInVain:
            form.add_error(None, WAIT)
        else:
            if patient:
                return redirect("reactions:patient", patient.pk)
            form.add_error(None, NOT_THERE)
    return render(request, "reactions/emergency.html", {"form": form, "hours": emergencies.LASTS.seconds // 3600})
