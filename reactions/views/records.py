"""Finding the records a page is about. What a person may not see is not found."""

from django.db.models import Prefetch
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils import timezone

from patients.models import User
from reactions.models import Answer, CheckIn, Infusion, Reaction


def find_infusion(user: User, pk: int) -> Infusion:
    """The infusion with its details; 404 outside the user's clinics. Times are then shown on its clinic's clocks."""
    infusion: Infusion = get_object_or_404(Infusion.objects.visible_to(user).with_details(), pk=pk)
    timezone.activate(infusion.zone)
    return infusion


def find_infusion_to_change(user: User, pk: int) -> Infusion:
    """The infusion, unless it or its patient is void: then there is nothing to change and the page is not found."""
    infusion = find_infusion(user, pk)
    if infusion.is_void or infusion.patient.is_void:
        raise Http404("The record is void.")
    return infusion


def find_reaction(user: User, pk: int) -> Reaction:
    """The reaction with its infusion and symptoms; 404 outside the user's clinics."""
    reactions = Reaction.objects.visible_to(user).select_related(
        "infusion__patient__clinic", "infusion__product", "infusion__course", "created_by", "voided_by"
    )
    reaction: Reaction = get_object_or_404(reactions.prefetch_related("symptoms"), pk=pk)
    timezone.activate(reaction.infusion.zone)
    return reaction


def find_reaction_to_change(user: User, pk: int) -> Reaction:
    """The reaction, unless it, its infusion or its patient is void."""
    reaction = find_reaction(user, pk)
    if reaction.is_void or reaction.infusion.is_void or reaction.patient.is_void:
        raise Http404("The record is void.")
    return reaction


def find_checkin(user: User, pk: int) -> CheckIn:
    """The check-in with all versions of its answer and its mails; 404 outside the user's clinics."""
    answers = Prefetch(
        "answers",
        Answer.objects.select_related("alert__acknowledged_by").prefetch_related("symptoms").order_by("-version"),
    )
    checkins = CheckIn.objects.visible_to(user).select_related("infusion__patient__clinic", "infusion__product")
    checkin: CheckIn = get_object_or_404(checkins.prefetch_related(answers, "mails"), pk=pk)
    timezone.activate(checkin.infusion.zone)
    return checkin
