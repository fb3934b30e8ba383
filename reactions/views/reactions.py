"""Recording, showing, correcting and voiding a reaction."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from patients.access import StaffRequest, posted
from patients.models import StaleRecord
from patients.views.voiding import void_page
from reactions import recording
from reactions.forms.reaction import ReactionEntry
from reactions.views import timeline
from reactions.views.records import find_infusion_to_change, find_reaction, find_reaction_to_change


@require_http_methods(["GET", "HEAD", "POST"])
def record_reaction(request: StaffRequest, infusion_pk: int) -> HttpResponse:
    infusion = find_infusion_to_change(request.user, infusion_pk)
    adding = request.POST.get("add_row", "")
    entry = ReactionEntry(posted(request), infusion=infusion, add_row=adding)
    if request.method == "POST" and not adding and entry.is_valid():
        recording.record_reaction(
            by=request.user,
            infusion=infusion,
            details=entry.form.details(),
            symptoms=entry.symptoms.filled(),
            submission_id=entry.submission_id,
            now=timezone.now(),
        )
        messages.success(request, "The reaction is recorded.")
        return redirect("reactions:infusion", infusion.pk)
    context = {"entry": entry, "infusion": infusion, "patient": infusion.patient}
    return render(request, "reactions/reaction_form.html", context)


@require_safe
def reaction_page(request: StaffRequest, pk: int) -> HttpResponse:
    reaction = find_reaction(request.user, pk)
    context = {
        "reaction": reaction,
        "infusion": reaction.infusion,
        "patient": reaction.patient,
        "onset": timeline.onset_in_words(reaction, reaction.infusion),
        "history": timeline.history_of(reaction),
    }
    return render(request, "reactions/reaction.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def correct_reaction(request: StaffRequest, pk: int) -> HttpResponse:
    reaction = find_reaction_to_change(request.user, pk)
    adding = request.POST.get("add_row", "")
    entry = ReactionEntry(posted(request), infusion=reaction.infusion, reaction=reaction, add_row=adding)
    context = {"entry": entry, "infusion": reaction.infusion, "patient": reaction.patient, "reaction": reaction}
    if request.method == "POST" and not adding and entry.is_valid():
        try:
            recording.correct_reaction(
                reaction,
                by=request.user,
                details=entry.form.details(),
                symptoms=entry.symptoms.filled(),
                reason=entry.form.cleaned_data["reason"],
                seen_version=entry.form.cleaned_data["seen_version"] or 0,
                now=timezone.now(),
            )
        except StaleRecord:
            stored = find_reaction(request.user, pk)
            entry.accept_version(stored.version)
            return render(request, "reactions/reaction_form.html", context | {"stored": stored}, status=409)
        messages.success(request, "The reaction is corrected.")
        return redirect("reactions:reaction", reaction.pk)
    return render(request, "reactions/reaction_form.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def void_reaction(request: StaffRequest, pk: int) -> HttpResponse:
    reaction = find_reaction_to_change(request.user, pk)
    return void_page(
        request,
        reaction,
        recording.void_reaction,
        patient=reaction.patient,
        said="The reaction is void.",
        back=reverse("reactions:infusion", args=[reaction.infusion_id]),
    )
