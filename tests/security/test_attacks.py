"""What somebody tries who wants in, wants something out, or wants it broken. Each is tried everywhere by itself."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html import unescape

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core import mail
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import DatabaseError, models, transaction
from django.test import Client, override_settings
from django.urls import resolve, reverse
from django.utils import timezone

from patients.models import AuditEvent, Clinic, Patient, User
from patients.signing_in.passwords import NotOfHereValidator
from reactions.models import CheckIn, Infusion, OutboxMessage
from reactions.tasks import tick
from tests.security.test_every_address import address_of, addresses, records_of
from tests.support import PASSWORD
from tests.support.factories import make_checkins, make_patient

pytestmark = pytest.mark.django_db

# A form that comes from elsewhere is refused, but for the button in a mail by which a provider stops the mails
# (RFC 8058): there the address is the secret, and no sign-in goes with it.
WITHOUT_A_FORM = {"reactions:stop_mails"}
SCRIPT = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>"
LIVE = re.compile(rb"<script>alert|<img src=x|\"'>")
INJECTIONS = (
    "' OR '1'='1",
    "'; DROP TABLE patients_patient; --",
    "1 UNION SELECT password FROM patients_user",
    "\"'`\\",
    "%' AND 1=(SELECT COUNT(*) FROM patients_user) AND '%'='",
    "\x00",
    "{{7*7}}${7*7}",
    "../../../../etc/passwd",
    "9" * 400,
)
# What pages ask by, filled in all at once.
FILTERS = {
    *("q", "by", "also", "key", "value", "product", "premedication", "reaction", "min_grade", "serious", "window"),
    *("source", "unit", "interval", "first_day", "last_day", "clinic", "lot", "like", "page", "patient", "kind"),
    *("sort", "o", "p", "all", "year", "lang"),
}


@pytest.fixture
def records(infusion: Infusion) -> dict[str, str]:
    with transaction.atomic():
        return records_of(infusion)


@pytest.fixture
def token(records: dict[str, str]) -> str:
    return CheckIn.objects.earliest("due_at").link_path().split("/")[2]


class Insider:
    """A superuser whose deeds are undone after each of them."""

    def __init__(self, client: Client) -> None:
        self.client = client
        client.force_login(User.objects.create_superuser("root"))
        self.cookies = {name: cookie.value for name, cookie in client.cookies.items()}

    def ask(self, method: str, address: str, data: dict[str, str] | None = None) -> tuple[int, bytes]:
        with transaction.atomic():
            answer = getattr(self.client, method.lower())(address, data or {})
            content = answer.getvalue()
            transaction.set_rollback(True)
        self.client.cookies.clear()
        self.client.cookies.load(self.cookies)
        return answer.status_code, content


def test_no_form_is_taken_from_elsewhere(records: dict[str, str], token: str) -> None:
    insider = Insider(Client(enforce_csrf_checks=True, raise_request_exception=False))
    taken, exempt, refused = set(), set(), 0
    for name, pattern in addresses():
        address = address_of(name, pattern, records, token)
        status, _ = insider.ask("POST", address)
        refused += status == 403
        if status < 400:
            taken.add(name)
        if getattr(resolve(address).func, "csrf_exempt", False):
            exempt.add(name)
    assert refused > 60
    assert taken == set()
    assert exempt == WITHOUT_A_FORM


def test_words_that_are_a_script_are_words_on_every_page(records: dict[str, str], token: str) -> None:
    """In every column of every row that holds text, sealed or not, wherever it is shown."""
    marked = set(_write_everywhere(SCRIPT))
    assert {"Patient.given_name", "Infusion.notes", "Clinic.name", "User.last_name"} <= marked
    insider = Insider(Client())
    shown = set()
    for name, pattern in addresses():
        status, content = insider.ask("GET", address_of(name, pattern, records, token))
        assert status < 500, name
        if not content.lstrip().startswith(b"<"):
            # A file, which no browser takes for a page.
            continue
        assert not LIVE.search(content), name
        if "<script>alert(1)" in unescape(content.decode()):
            shown.add(name)
    # Otherwise nothing was tried.
    assert len(shown) > 25


def _write_everywhere(words: str) -> Iterator[str]:
    for model in apps.get_models():
        if model._meta.app_label not in {"patients", "reactions"} or model._meta.proxy:
            continue
        for field in model._meta.concrete_fields:
            is_text = isinstance(field, models.CharField | models.TextField) and not isinstance(
                field, models.EmailField
            )
            if not is_text or field.choices or field.unique or (field.max_length or 999) < 40:
                continue
            if field.name in {
                "time_zone",
                "fingerprint",
                "password",
                "code",
                "told",
                "key",
                "values",
                "slug",
                "site_id",
            }:
                continue
            if not field.editable and field.name != "void_reason":
                continue
            for row in model._base_manager.all():
                if _changed(row, field.name, words[: field.max_length]):
                    yield f"{model.__name__}.{field.name}"


def _changed(row: models.Model, name: str, words: str) -> bool:
    """False where a rule of the column or of the database refuses such words."""
    try:
        row._meta.get_field(name).run_validators(words)
        with transaction.atomic():
            if isinstance(row, Patient):
                setattr(row, name, words)
                row.save()
            else:
                models.QuerySet(type(row)).filter(pk=row.pk).update(**{name: words})
    except (DatabaseError, ValidationError):
        return False
    return True


@pytest.mark.parametrize("words", [INJECTIONS[0], INJECTIONS[3] + SCRIPT, "\x00", "9" * 400])
def test_no_filter_or_search_reaches_the_database_as_a_statement(
    records: dict[str, str], token: str, words: str
) -> None:
    insider = Insider(Client())
    before = Patient.objects.count()
    for name, pattern in addresses():
        address = address_of(name, pattern, records, token)
        status, content = insider.ask("GET", address, dict.fromkeys(FILTERS, words))
        assert status < 500, (name, words)
        assert b"syntax error" not in content.lower(), name
        assert b"argon2" not in content, name
        assert not (LIVE.search(content) and content.lstrip().startswith(b"<")), name
    assert Patient.objects.count() == before


@pytest.mark.parametrize("words", [INJECTIONS[0], INJECTIONS[4], "\x00"])
def test_no_filter_of_the_figures_does_alone(records: dict[str, str], words: str) -> None:
    """All at once the first that is wrong keeps the others from the database."""
    insider = Insider(Client())
    for name in ("reaction_rates", "rate_infusions", "reaction_rates_csv", "alert_times", "signals"):
        for one in FILTERS:
            status, content = insider.ask("GET", reverse(f"admin:{name}"), {one: words})
            assert status < 500, (name, one)
            assert b"syntax error" not in content.lower(), (name, one)


@pytest.mark.parametrize("words", [words for words in INJECTIONS if words.strip("\x00")])
def test_a_search_finds_what_is_called_so_and_nothing_else(
    client: Client, patient: Patient, nurse: User, words: str
) -> None:
    client.force_login(nurse)
    page = client.post("/patients/", {"q": words}, follow=True)
    assert page.status_code == 200
    assert patient.full_name not in page.content.decode()


@pytest.mark.parametrize(
    "target",
    ["//evil.example/", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", "\thttps://evil.example"],
)
def test_nobody_is_led_elsewhere(client: Client, nurse: User, target: str) -> None:
    for address in ("/sign-in/", "/sign-out/", "/admin/login/"):
        answer = client.post(address, {"login": nurse.username, "password": PASSWORD, "next": target})
        assert "evil.example" not in answer.get("Location", "")
        assert "javascript" not in answer.get("Location", "")
        answer = client.get(address, {"next": target})
        assert not re.search(r"(href|action)=\"[^\"]*evil", answer.content.decode())
    client.force_login(nurse)
    assert "evil" not in client.get("/sign-in/", {"next": target}).get("Location", "")


def test_a_host_that_is_not_ours_is_none(client: Client, infusion: Infusion) -> None:
    with override_settings(ALLOWED_HOSTS=["ivigtrack.example"]):
        assert client.get("/sign-in/", headers={"Host": "evil.example"}).status_code == 400
        assert (
            client.get(
                "/sign-in/", headers={"Host": "ivigtrack.example", "X-Forwarded-Host": "evil.example"}
            ).status_code
            == 200
        )


@pytest.mark.parametrize("field", ["name", "mail_name"])
def test_a_line_break_never_reaches_the_header_of_a_mail(clinic: Clinic, field: str) -> None:
    setattr(clinic, field, "Clinic\r\nBcc: evil@evil.example")
    with pytest.raises(ValidationError, match="one line"):
        clinic.full_clean()


def test_a_mail_with_a_line_break_in_its_header_does_not_leave(infusion: Infusion) -> None:
    """Past the form, by somebody who writes into the database."""
    make_checkins(infusion)
    Clinic.objects.update(name="Clinic\nBcc: evil@evil.example")
    tick()
    assert not any("evil@evil.example" in "".join(one.recipients()) for one in mail.outbox)
    assert not OutboxMessage.objects.filter(state="sent").exists() or all(
        "\n" not in one.subject and "\n" not in one.from_email for one in mail.outbox
    )


def test_a_body_that_is_too_long_or_has_too_many_fields_is_refused(client: Client, nurse: User) -> None:
    client.force_login(nurse)
    address = reverse("patients:register")
    long = client.post(address, {"given_name": "x" * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)})
    many = client.post(
        address, {f"field-{number}": "x" for number in range(settings.DATA_UPLOAD_MAX_NUMBER_FIELDS + 1)}
    )
    deep = client.generic("POST", address, "[" * 200_000, content_type="application/json")
    nested = client.post(address, "a" + "[b]" * 20_000 + "=1", content_type="application/x-www-form-urlencoded")
    assert {long.status_code, many.status_code} <= {400, 413}
    assert deep.status_code < 500
    assert nested.status_code < 500
    assert not Patient.objects.exists()


def test_a_file_that_is_sent_is_no_answer_to_a_form(client: Client, nurse: User) -> None:
    client.force_login(nurse)
    bomb = SimpleUploadedFile("bomb.zip", b"PK\x03\x04" + b"\0" * 100_000)
    assert client.post(reverse("patients:register"), {"given_name": bomb}).status_code == 200


def test_the_session_that_was_planted_before_signing_in_is_not_the_one_afterwards(client: Client, nurse: User) -> None:
    client.get("/sign-in/")
    session = client.session
    session["planted"] = "yes"
    session.save()
    planted = session.session_key
    client.post("/sign-in/", {"login": nurse.username, "password": PASSWORD})
    assert client.session.session_key != planted


def test_who_left_is_out_at_once(client: Client, nurse: User) -> None:
    client.force_login(nurse)
    assert client.get("/patients/").status_code == 200
    User.objects.filter(pk=nurse.pk).update(is_active=False)
    assert client.get("/patients/").status_code == 302


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "DEBUG"])
def test_methods_that_no_page_has_echo_nothing(client: Client, nurse: User, method: str) -> None:
    client.force_login(nurse)
    for address in ("/patients/", "/patients/new/", "/admin/", "/healthz", "/c/x/"):
        answer = client.generic(method, address, headers={"X-Secret": "echo-me"})
        assert b"echo-me" not in answer.getvalue()


@pytest.mark.parametrize(
    ("password", "is_taken"),
    [
        ("ivigtrack2026!", False),
        ("Infusion-Clinic-1", False),
        ("Synthetic Infusion", False),
        ("nurse nurse 123", False),
        ("grey otters under 7 bridges", True),
        ("Ivigtrack is where otters sleep", True),
        ("Qk3%vTz9!pWm", True),
        ("ivigtrack123456", False),
        ("nurse987654", False),
        ("clinicnurse111111", False),
        ("1v1gtr@ck2026", False),
        ("83749201745639", True),
    ],
)
def test_a_password_is_not_made_of_words_of_the_place(clinic: Clinic, password: str, is_taken: bool) -> None:
    Clinic.objects.filter(pk=clinic.pk).update(name="Synthetic Infusion Clinic")
    if is_taken:
        NotOfHereValidator().validate(password)
    else:
        with pytest.raises(ValidationError, match="first here"):
            NotOfHereValidator().validate(password)


def test_whoever_chooses_a_password_is_held_to_that(db: None) -> None:
    with pytest.raises(ValidationError, match="first here"):
        validate_password("ivigtrack2026!")
    validate_password("grey otters under 7 bridges")


def test_where_the_service_has_tls_its_cookies_have_names_for_this_host_alone() -> None:
    names = "s.SESSION_COOKIE_NAME, s.CSRF_COOKIE_NAME, s.CSRF_COOKIE_HTTPONLY"
    asked = f"from django.conf import settings as s; print({names})"
    environment = os.environ | {"SITE_URL": "https://ivigtrack.example", "DJANGO_SETTINGS_MODULE": "ivigtrack.settings"}
    told = subprocess.run([sys.executable, "-c", asked], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["__Host-sessionid", "__Host-csrftoken", "True"]


def test_over_tls_every_cookie_is_bound_to_this_host(client: Client, infusion: Infusion, nurse: User) -> None:
    Clinic.objects.update(asks_birth_year=True)
    make_checkins(infusion)
    link = CheckIn.objects.earliest("due_at").link_path()
    with override_settings(
        SESSION_COOKIE_NAME="__Host-sessionid",
        CSRF_COOKIE_NAME="__Host-csrftoken",
        SESSION_COOKIE_SECURE=True,
        CSRF_COOKIE_SECURE=True,
    ):
        client.get("/sign-in/", secure=True)
        client.post("/sign-in/", {"login": nurse.username, "password": PASSWORD}, secure=True)
        sent = {"mrn": "TEST-1", "given_name": "A", "family_name": "B", "birth_date": "1970-01-01"}
        client.post("/patients/new/", sent | {"sex": "female", "language": "en"}, secure=True)
        client.get(f"{link}?lang=es", secure=True)
        client.post(link, {"birth_year": "1970"}, secure=True)
        cookies = dict(client.cookies)
    assert {
        "__Host-sessionid",
        "__Host-csrftoken",
        "__Secure-patient-language",
        "__Secure-birth-year",
    } <= cookies.keys()
    for name, cookie in cookies.items():
        assert cookie["secure"], name
        assert cookie["samesite"] == "Lax", name
        assert name.startswith("__Secure-") or (name.startswith("__Host-") and cookie["path"] == "/"), name
        assert not cookie["domain"], name


def test_a_refusal_is_on_record(client: Client, patient: Patient, other_nurse: User) -> None:
    client.force_login(other_nurse)
    client.get(reverse("reactions:patient", args=[patient.pk]))
    told = AuditEvent.objects.filter(act="page.refused", by=other_nurse).latest("pk")
    assert told.at <= timezone.now()


def test_a_name_that_is_taken_elsewhere_tells_nothing(client: Client, other_clinic: Clinic, nurse: User) -> None:
    """Registering a number that somebody of another clinic has is no question that is answered."""
    make_patient(other_clinic, mrn="TEST-SECRET", given_name="Hidden")
    client.force_login(nurse)
    sent = {
        "mrn": "TEST-SECRET",
        "given_name": "A",
        "family_name": "B",
        "birth_date": "1970-01-01",
        "sex": "female",
        "language": "en",
    }
    page = client.post(reverse("patients:register"), sent, follow=True).content.decode()
    assert "Hidden" not in page
    assert Patient.objects.filter(clinic=nurse.first_clinic()).with_number(["TEST-SECRET"]).exists()
