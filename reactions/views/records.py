"""Finding the records a page is about. What a person may not see is not found."""

from django.http import Http404
from django.shortcuts import get_object_or_404

from patients.access import opens
from patients.models import User
from reactions.models import AnaphylaxisRecord, CheckIn, Infusion, Reaction


def find_infusion(user: User, pk: int) -> Infusion:
    """The infusion with its details; 404 outside the user's clinics. Times are then shown on its clinic's clocks."""
    infusions = Infusion.objects.visible_to(user).with_details()
    rows = infusions.prefetch_related(
        "rate_steps__created_by", "vitals__created_by", "treatments__created_by", "reactions__anaphylaxis"
    )
    infusion: Infusion = get_object_or_404(rows, pk=pk)
    opens(infusion.patient)
    return infusion


def find_infusion_to_change(user: User, pk: int) -> Infusion:
    """The infusion, unless it or its patient is void: then there is nothing to change and the page is not found."""
    infusion = find_infusion(user, pk)
    if infusion.is_void or infusion.patient.is_closed:
        raise Http404("The record is void.")
    return infusion


def find_reaction(user: User, pk: int) -> Reaction:
    """The reaction with its infusion and all that was recorded or judged about it; 404 outside the user's clinics."""
    reactions = Reaction.objects.visible_to(user).select_related(
        "infusion__patient__clinic",
        "infusion__product",
        "infusion__course",
        "created_by",
        "voided_by",
        "anaphylaxis__created_by",
        "anaphylaxis__voided_by",
    )
    rows = reactions.prefetch_related(
        "symptoms",
        "treatments__created_by",
        "causality__judged_by",
        "signatures",
        "infusion__rate_steps",
        "infusion__treatments",
        "infusion__vials",
    )
    reaction: Reaction = get_object_or_404(rows, pk=pk)
    opens(reaction.patient)
    return reaction


def find_reaction_to_change(user: User, pk: int) -> Reaction:
    """The reaction, unless it, its infusion or its patient is void."""
    reaction = find_reaction(user, pk)
    if reaction.is_void or reaction.infusion.is_void or reaction.patient.is_closed:
        raise Http404("The record is void.")
    return reaction


def find_anaphylaxis(user: User, reaction_pk: int) -> AnaphylaxisRecord:
    """The anaphylaxis record of a reaction, void or not; 404 where there is none, or outside the user's clinics."""
    return _anaphylaxis_of(find_reaction(user, reaction_pk))


def find_anaphylaxis_to_change(user: User, reaction_pk: int) -> AnaphylaxisRecord:
    """The anaphylaxis record of a reaction that may be changed, unless the suspicion was taken back."""
    record = _anaphylaxis_of(find_reaction_to_change(user, reaction_pk))
    if record.is_void:
        raise Http404("The record is void.")
    return record


def _anaphylaxis_of(reaction: Reaction) -> AnaphylaxisRecord:
    record: AnaphylaxisRecord | None = getattr(reaction, "anaphylaxis", None)
    if record is None:
        raise Http404("Nobody suspected anaphylaxis in this reaction.")
    return record


def find_checkin(user: User, pk: int) -> CheckIn:
    """The check-in with all versions of its answer and its mails; 404 outside the user's clinics."""
    checkins = CheckIn.objects.visible_to(user).select_related("infusion__patient__clinic", "infusion__product")
    told = ("phone_calls__called_by", "decisions__decided_by", "decisions__reaction__symptoms")
    checkin: CheckIn = get_object_or_404(checkins.with_answers().prefetch_related(*told), pk=pk)
    opens(checkin.patient)
    return checkin
