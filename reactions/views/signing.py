"""Signing a reaction, and its versions side by side."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from patients.access import StaffRequest, posted
from patients.models import StaleRecord
from reactions import recording
from reactions.forms.signature import SignForm
from reactions.models import Reaction
from reactions.views.reactions import reaction_context
from reactions.views.records import find_reaction, find_reaction_to_change
from reactions.views.versions import compare, judgements_of, versions_of
from reactions.vocabulary import SignatureMeaning


@require_http_methods(["GET", "HEAD", "POST"])
def sign(request: StaffRequest, pk: int) -> HttpResponse:
    reaction = find_reaction_to_change(request.user, pk)
    form = SignForm(posted(request), version=reaction.version)
    if form.is_valid():
        try:
            recording.sign_reaction(
                reaction,
                by=request.user,
                password=form.cleaned_data["password"],
                meaning=SignatureMeaning(form.cleaned_data["meaning"]),
                seen_version=form.version_seen,
                now=timezone.now(),
            )
        except recording.WrongPassword:
            form.add_error("password", "This is not your password. Write the one with which you sign in.")
        except StaleRecord:
            stored = find_reaction_to_change(request.user, pk)
            form.accept_version(stored.version)
            return render(request, "reactions/sign.html", _to_sign(stored, form) | {"is_stale": True}, status=409)
        else:
            messages.success(request, "Signed.")
            return redirect("reactions:reaction", pk)
    return render(request, "reactions/sign.html", _to_sign(reaction, form))


def _to_sign(reaction: Reaction, form: SignForm) -> dict[str, Any]:
    context = reaction_context(reaction)
    others = [what for what in context["missing"] if not what.startswith("a signature")]
    return context | {"form": form, "missing": others}


@require_safe
def versions_page(request: StaffRequest, pk: int) -> HttpResponse:
    """?earlier=N chooses the version that stands beside the present one; the one before it without."""
    reaction = find_reaction(request.user, pk)
    found = versions_of(reaction)
    chosen = request.GET.get("earlier", "")
    earlier = next((one for one in found[1:] if str(one.number) == chosen), found[1] if len(found) > 1 else None)
    context = {
        "reaction": reaction,
        "infusion": reaction.infusion,
        "patient": reaction.patient,
        "versions": found,
        "judgements": judgements_of(found),
        "present": found[0],
        "earlier": earlier,
        "rows": compare(earlier or found[0], found[0], reaction.infusion.zone),
    }
    return render(request, "reactions/versions.html", context)
