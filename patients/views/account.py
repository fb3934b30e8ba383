"""The session of who is signed in, inviting somebody, and the page that an invitation's link opens."""

from typing import Any

from allauth.mfa.adapter import get_adapter
from allauth.mfa.webauthn.views import RemoveWebAuthnView
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import SetPasswordForm
from django.contrib.auth.views import INTERNAL_RESET_SESSION_TOKEN, PasswordResetConfirmView
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_http_methods

from patients.access import StaffRequest, posted
from patients.forms.invitation import InvitationForm
from patients.signing_in import inviting, lasting


@require_http_methods(["GET", "POST"])
def stay(request: HttpRequest) -> JsonResponse:
    """How many seconds are left; sent as a form, it also says that somebody is still at it (`session_that_ends`)."""
    idle, shift = lasting.seconds_left(request)
    return JsonResponse({"idle": idle, "shift": shift})


@require_http_methods(["GET", "HEAD", "POST"])
def invite(request: StaffRequest) -> HttpResponse:
    """An administrator makes an account for somebody at their clinic, and is shown its link, this once."""
    if not request.user.administers_something:
        raise PermissionDenied
    form = InvitationForm(posted(request), user=request.user)
    if not form.is_valid():
        return render(request, "account/invite.html", {"form": form})
    invited = inviting.invite(
        by=request.user, clinic=form.cleaned_data["clinic"], role=form.chosen_role, details=form.details()
    )
    return render(request, "account/invited.html", {"links": inviting.links_of([invited])})


class RemoveKey(RemoveWebAuthnView):
    """As django-allauth's, but the only second step stays: without any the person could not sign in."""

    def form_valid(self, form: Any) -> HttpResponse:
        if not get_adapter().can_delete_authenticator(self.get_object()):
            form.add_error(None, get_adapter().validation_error("cannot_delete_authenticator"))
            return self.form_invalid(form)
        return super().form_valid(form)


@method_decorator(login_not_required, name="dispatch")
class Invitation(PasswordResetConfirmView):
    """Choose a password by a link that works once. Django keeps the token in the session, and out of the address."""

    template_name = "account/invitation.html"
    success_url = reverse_lazy("account_login")

    def form_valid(self, form: SetPasswordForm) -> HttpResponse:
        token = self.request.session.pop(INTERNAL_RESET_SESSION_TOKEN, "")
        try:
            inviting.choose_password(form.user, form.cleaned_data["new_password1"], token=token)
        except inviting.LinkUsed:
            self.validlink = False
            return self.render_to_response(self.get_context_data())
        messages.success(self.request, "Your password is set. Sign in with it.")
        return super(PasswordResetConfirmView, self).form_valid(form)

    def render_to_response(self, context: dict[str, Any], **kwargs: Any) -> HttpResponse:
        return super().render_to_response(context, **({"status": 410} if not self.validlink else {}), **kwargs)
