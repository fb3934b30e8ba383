"""What the grades of CTCAE mean, term by term."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from patients.access import StaffRequest
from reactions.clinical.ctcae import TERMS, V5, VERSIONS
from reactions.forms.grades import grades_of
from reactions.forms.reaction_rows import term_choices


@require_safe
def grades_page(request: StaffRequest) -> HttpResponse:
    clinic = request.user.first_clinic()
    term = request.GET.get("term", "")
    version = request.GET.get("version", "")
    if version not in VERSIONS:
        version = clinic.ctcae_version if clinic else V5
    context = {
        "choices": term_choices(),
        "term": term,
        "version": version,
        "versions": VERSIONS,
        "grades": grades_of(term, version) if term in TERMS else None,
    }
    return render(request, "reactions/grades.html", context)
