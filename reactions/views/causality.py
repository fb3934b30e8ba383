"""Judging the cause of a reaction, by one scale or the other."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from patients.access import StaffRequest, posted
from reactions import recording
from reactions.forms.causality import FORMS
from reactions.views.records import find_reaction_to_change
from reactions.views.running import at_onset
from reactions.vocabulary import CausalityScale
from reactions.words import onset_in_words

SENT_BEFORE = (
    "This form was saved already, as it was before you changed it. To judge anew, open this page again and save there."
)


@require_http_methods(["GET", "HEAD", "POST"])
def judge(request: StaffRequest, pk: int) -> HttpResponse:
    """The scale is part of the address: ?scale=who_umc or ?scale=naranjo."""
    reaction = find_reaction_to_change(request.user, pk)
    scale = request.GET.get("scale", "")
    scale = scale if scale in FORMS else str(CausalityScale.WHO_UMC)
    judgements = list(reaction.causality.all())
    latest = next((judged for judged in judgements if judged.scale == scale), None)
    form = FORMS[scale](posted(request), latest=latest)
    if "show" in request.POST:
        form.show_unjudged()
    elif form.is_valid():
        category, score = form.result()
        try:
            judged = recording.judge_causality(
                reaction,
                by=request.user,
                scale=CausalityScale(scale),
                answers=form.answers(),
                category=category,
                score=score,
                note=form.cleaned_data["note"],
                submission_id=form.submission,
                now=timezone.now(),
            )
        except recording.SentBefore:
            form.add_error(None, SENT_BEFORE)
        else:
            if judged.category:
                messages.success(request, f"The cause is judged. {judged}.")
            else:
                messages.warning(request, "Saved, unfinished: while a question is not answered, there is no category.")
            return redirect("reactions:reaction", pk)
    steps = [step.as_step() for step in reaction.infusion.rate_steps.all() if not step.is_void]
    context = {
        "reaction": reaction,
        "infusion": reaction.infusion,
        "patient": reaction.patient,
        "form": form,
        "scale": scale,
        "tabs": [(str(one), _label(one), f"{reverse('reactions:causality', args=[pk])}?scale={one}") for one in FORMS],
        "judgements": judgements,
        "onset": onset_in_words(reaction, reaction.infusion),
        "at_onset": at_onset(reaction, reaction.infusion, steps),
    }
    return render(request, f"reactions/causality_{scale}.html", context)


def _label(scale: str) -> str:
    return {"who_umc": "WHO-UMC checklist", "naranjo": "Naranjo questions"}[scale]
