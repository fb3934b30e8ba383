from allauth.account import views as account_views
from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from ivigtrack.health import healthz, readyz
from patients.views import account

handler400 = "reactions.views.broken_links.bad_request"
handler404 = "reactions.views.broken_links.not_found"
handler500 = "reactions.views.broken_links.server_error"

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="patients:list"), name="home"),
    path("sign-in/", account_views.login, name="account_login"),
    path("sign-out/", account_views.logout, name="account_logout"),
    path("account/second-step/webauthn/keys/<int:pk>/remove/", account.RemoveKey.as_view(), name="mfa_remove_webauthn"),
    path("account/second-step/", include("allauth.mfa.urls")),
    path("account/sessions/", include("allauth.usersessions.urls")),
    path("account/stay/", account.stay, name="account_stay"),
    path("account/invite/", account.invite, name="account_invite"),
    path("invitation/<str:uidb64>/<str:token>/", account.Invitation.as_view(), name="invitation"),
    path("account/password/new/", account_views.password_set, name="account_set_password"),
    path("account/password/", account_views.password_change, name="account_change_password"),
    path("patients/", include("patients.urls")),
    path("", include("reactions.urls")),
    path("admin/", admin.site.urls),
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
]
if settings.ANYMAIL_WEBHOOK_SECRET:
    urlpatterns.append(path("mail-events/", include("reactions.mail_events")))
