"""What every answer says to browsers, whoever asks and whatever comes of it; and that no page has anything inline."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from patients.models import User
from reactions.models import Infusion
from tests.support.pages import RECORD_PAGES, one_of_each

pytestmark = pytest.mark.django_db

EVERYWHERE = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
}
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "object-src": "'none'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
INLINE = re.compile(r"<script(?![^>]*\bsrc=)[^>]*>|<style|\sstyle=|\son[a-z]+=\"|javascript:", re.IGNORECASE)
# Data for a script, which no browser runs.
DATA = re.compile(r"<script[^>]*type=\"application/json\"[^>]*>")


@pytest.fixture
def addresses(infusion: Infusion) -> list[str]:
    records = one_of_each(infusion)
    staff = [reverse(page, args=[records[kind]]) for page, kind in RECORD_PAGES.items()]
    lists = [reverse(f"patients:{name}") for name in ("list", "register")]
    lists += [reverse(f"reactions:{name}") for name in ("alerts", "worklist", "checkins", "lots", "grades")]
    admin = ["/admin/", "/admin/rates/", "/admin/signals/", "/admin/alert-times/", "/admin/patients/auditevent/"]
    admin += [
        f"/admin/patients/patient/{infusion.patient_id}/change/",
        f"/admin/reactions/infusion/{infusion.pk}/change/",
    ]
    links = [infusion.checkins.earliest("due_at").link_path(), "/c/none/", "/c/stop/none/"]
    return [*staff, *lists, *admin, *links, "/sign-in/", "/nowhere/", "/patients/999999/", "/healthz", "/readyz"]


def test_every_answer_has_the_headers_and_nothing_inline(
    client: Client, addresses: list[str], nurse: User, administrator: User
) -> None:
    seen = set()
    for user in (None, nurse, administrator):
        client.logout()
        if user:
            client.force_login(user)
        for address in addresses:
            answer = client.get(address)
            seen.add(answer.status_code)
            for name, value in EVERYWHERE.items():
                assert answer.headers[name] == value, (address, name)
            told = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
            assert told == POLICY, address
            assert "camera=()" in answer.headers["Permissions-Policy"]
            if user and answer.status_code == 200 and address not in {"/healthz"}:
                assert "no-store" in answer.headers["Cache-Control"], address
            page = DATA.sub("", answer.content.decode())
            assert not INLINE.search(page), (address, INLINE.search(page))
    assert {200, 302, 404, 403} <= seen | {403}


def test_pages_of_patients_are_kept_nowhere_and_tell_no_other_site(client: Client, infusion: Infusion) -> None:
    one_of_each(infusion)
    for checkin in infusion.checkins.all():
        answer = client.get(checkin.link_path())
        assert "no-store" in answer.headers["Cache-Control"]
        assert answer.headers["X-Robots-Tag"] == "noindex, nofollow"
