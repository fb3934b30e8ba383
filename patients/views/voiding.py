"""The one page on which any record is voided."""

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from patients.access import StaffRequest, posted
from patients.forms.patient import VoidForm
from patients.models import Patient, Record, StaleRecord


def void_page(
    request: StaffRequest,
    record: Record,
    void: Callable[..., None],
    *,
    patient: Patient,
    said: str,
    back: str,
    what: str = "",
    caution: str = "",
) -> HttpResponse:
    """Ask why `what` is void, then call the verb `void`, say `said` and lead to the address `back`.

    `caution` is what goes out of sight with the record.
    """
    form = VoidForm(posted(request), initial={"seen_version": record.version})
    if form.is_valid():
        try:
            void(record, by=request.user, now=timezone.now(), **form.cleaned_data)
        except StaleRecord:
            form.add_error(None, "This record was changed in the meantime. Look at it again first.")
        else:
            messages.success(request, said)
            return redirect(back)
    return render(
        request, "patients/void.html", {"form": form, "patient": patient, "what": what or record, "caution": caution}
    )
