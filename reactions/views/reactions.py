"""Recording, showing, correcting and voiding a reaction."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from patients.access import StaffRequest, posted
from patients.models import StaleRecord
from patients.views.history import history_of
from patients.views.voiding import void_page
from reactions import recording, worklist
from reactions.clinical import seriousness
from reactions.clinical.reaction_checks import ReactionFacts, unlikely
from reactions.forms.reaction_entry import ReactionEntry
from reactions.models import Reaction, ReviewDecision
from reactions.views.records import find_infusion_to_change, find_reaction, find_reaction_to_change
from reactions.views.running import at_onset
from reactions.views.saved import saved_before
from reactions.vocabulary import Action, Outcome
from reactions.words import is_before_onset, onset_in_words


@require_http_methods(["GET", "HEAD", "POST"])
def record_reaction(request: StaffRequest, infusion_pk: int) -> HttpResponse:
    infusion = find_infusion_to_change(request.user, infusion_pk)
    entry = ReactionEntry(posted(request), infusion=infusion)
    if entry.is_valid():
        try:
            reaction = recording.record_reaction(
                by=request.user,
                infusion=infusion,
                submission_id=entry.submission_id,
                now=timezone.now(),
                **entry.told(),
            )
        except recording.SentBefore as error:
            entry.form.add_error(None, saved_before("reactions:reaction", error.record.pk))
        except (recording.AlreadyThere, recording.StartsTooLate) as error:
            entry.refuse(error)
        else:
            messages.success(request, "The reaction is recorded.")
            return redirect("reactions:reaction", reaction.pk)
    context = {"entry": entry, "infusion": infusion, "patient": infusion.patient}
    return render(request, "reactions/reaction_form.html", context)


@require_safe
def reaction_page(request: StaffRequest, pk: int) -> HttpResponse:
    reaction = find_reaction(request.user, pk)
    return render(request, "reactions/reaction.html", reaction_context(reaction))


def reaction_context(reaction: Reaction) -> dict[str, Any]:
    """What the page of a reaction shows, in a fixed number of queries."""
    infusion = reaction.infusion
    steps = [step.as_step() for step in infusion.rate_steps.all() if not step.is_void]
    follows = worklist.needs_following(reaction) and not infusion.is_void and not reaction.patient.is_closed
    return {
        "reaction": reaction,
        "infusion": infusion,
        "patient": reaction.patient,
        "onset": onset_in_words(reaction, infusion),
        "at_onset": at_onset(reaction, infusion, steps),
        "hints": hints(reaction),
        "missing": worklist.missing(reaction) if follows else [],
        "history": history_of(reaction),
        "reports": reports_of(reaction),
    }


def reports_of(reaction: Reaction) -> list[ReviewDecision]:
    """The decisions by which patients' reports belong to the reaction; one that was revised since is not among them."""
    decisions = (
        ReviewDecision.objects.standing().filter(reaction=reaction).select_related("decided_by", "answer", "checkin")
    )
    return list(decisions.prefetch_related("answer__symptoms", "checkin__answers").order_by("decided_at", "pk"))


@require_http_methods(["GET", "HEAD", "POST"])
def correct_reaction(request: StaffRequest, pk: int) -> HttpResponse:
    reaction = find_reaction_to_change(request.user, pk)
    entry = ReactionEntry(posted(request), infusion=reaction.infusion, reaction=reaction)
    context = {"entry": entry, "infusion": reaction.infusion, "patient": reaction.patient, "reaction": reaction}
    if entry.is_valid():
        try:
            recording.correct_reaction(
                reaction,
                by=request.user,
                reason=entry.form.cleaned_data["reason"],
                seen_version=entry.form.version_seen,
                now=timezone.now(),
                **entry.told(),
            )
        except StaleRecord:
            stored = find_reaction(request.user, pk)
            differences = entry.differences(stored)
            entry.form.accept_version(stored.version)
            return render(request, "reactions/reaction_form.html", context | {"differences": differences}, status=409)
        except (recording.AlreadyThere, recording.StartsTooLate) as error:
            entry.refuse(error)
        else:
            messages.success(request, "The reaction is corrected.")
            return redirect("reactions:reaction", reaction.pk)
    return render(request, "reactions/reaction_form.html", context)


def hints(reaction: Reaction) -> list[str]:
    """What is worth a second look."""
    symptoms = list(reaction.symptoms.all())
    terms, grades = [symptom.term for symptom in symptoms], [symptom.grade for symptom in symptoms]
    facts = ReactionFacts(
        terms=terms,
        grades=grades,
        outcome=Outcome(reaction.outcome),
        is_serious=reaction.is_serious,
        death_is_recorded=reaction.patient.died_on is not None,
        is_resolved=reaction.resolved_at is not None,
        stopped_and_yet_runs=reaction.action == Action.STOPPED and reaction.infusion.ended_at is None,
        given_before=[
            f"{row} at {timezone.localtime(row.at, reaction.infusion.zone):%H:%M}"
            for row in reaction.treatments_given
            if is_before_onset(row, reaction)
        ],
    )
    ticked = frozenset(seriousness.Criterion(code) for code in reaction.serious_criteria)
    return [*unlikely(facts), *seriousness.hints(terms, grades, ticked=ticked)]


@require_http_methods(["GET", "HEAD", "POST"])
def void_reaction(request: StaffRequest, pk: int) -> HttpResponse:
    reaction = find_reaction_to_change(request.user, pk)
    return void_page(
        request,
        reaction,
        recording.void_reaction,
        patient=reaction.patient,
        what=f"{', '.join(str(symptom) for symptom in reaction.symptoms.all())}, to {reaction.infusion}",
        said="The reaction is void.",
        back=reverse("reactions:infusion", args=[reaction.infusion_id]),
    )
