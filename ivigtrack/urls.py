from django.conf import settings
from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path
from django.views.generic import RedirectView

from ivigtrack.health import healthz, readyz
from patients.forms.sign_in import SignInForm

handler400 = "reactions.views.broken_links.bad_request"
handler404 = "reactions.views.broken_links.not_found"
handler500 = "reactions.views.broken_links.server_error"

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="patients:list"), name="home"),
    path("sign-in/", LoginView.as_view(authentication_form=SignInForm, redirect_authenticated_user=True), name="login"),
    path("sign-out/", LogoutView.as_view(), name="logout"),
    path("patients/", include("patients.urls")),
    path("", include("reactions.urls")),
    path("admin/", admin.site.urls),
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
]
if settings.ANYMAIL_WEBHOOK_SECRET:
    urlpatterns.append(path("mail-events/", include("reactions.mail_events")))
