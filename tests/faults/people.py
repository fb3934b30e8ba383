"""What staff and patients do while things go wrong: infusions are recorded, some check-ins answered or called off.

Everything goes through the product's own way: the form of the web server or the verb behind it. Each act is repeated
until it is known to be stored, as a person would press the button again, and noted with its times.
"""

import http.cookiejar
import random
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

from django.db import Error, connection
from django.utils import timezone

from patients.models import Clinic, Patient, User
from patients.registering import correct_patient
from reactions import recording
from reactions.models import CheckIn, Infusion, Product
from reactions.vocabulary import CheckInKind, CheckInState, PremedicationRecord, ReactionRecord
from tests.faults.evidence import CalledOff
from tests.support import PASSWORD
from tests.support.factories import make_patient, make_staff
from tests.support.forms import infusion_form

REPEAT_AFTER_S = 0.3
GIVE_UP_AFTER_S = 120.0

# How many of a hundred check-ins meet which fate; the rest is simply due.
FATES = {
    "answered early": 4,
    "answered": 6,
    "voided": 4,
    "opted out": 4,
    "window over": 3,
    "short window": 3,
    "refused": 4,
    "put off": 4,
}
# And how many of a hundred infusions are recorded on the page instead of by the verb.
ON_THE_PAGE = 15


class NeverDone(Exception):
    """An act did not succeed in two minutes, whatever was tried."""


@dataclass
class Visit:
    """One patient with one infusion and the check-in that is due in this round."""

    patient: Patient
    fate: str
    due_at: datetime
    on_the_page: bool
    submission: UUID = field(default_factory=uuid4)
    checkin: CheckIn | None = None
    recorded_at: float = 0.0


@dataclass
class People:
    """The people of one round and what they have done."""

    site: str
    clinic: Clinic
    nurse: User
    random: random.Random
    visits: list[Visit] = field(default_factory=list)
    called_off: list[CalledOff] = field(default_factory=list)
    acknowledged: list[UUID] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    posting: threading.Event = field(default_factory=threading.Event)
    stop_asked: threading.Event = field(default_factory=threading.Event)
    browser: "Browser | None" = None

    def record_all(self) -> None:
        """Record every infusion, the soonest due first. For a thread of its own."""
        self._in_thread(self._record_in_turn)

    def meddle(self) -> None:
        """Answer, void and opt out around the time when each check-in is due. For a thread of its own."""
        self._in_thread(self._meddle)

    def _in_thread(self, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as error:
            self.problems.append(f"{type(error).__name__}: {error}")
        finally:
            connection.close()

    def _record_in_turn(self) -> None:
        for visit in self.visits:
            self._record(visit)

    def _meddle(self) -> None:
        acts: dict[str, tuple[float, Callable[[Visit], None]]] = {
            "answered early": (-1.0, self._answer),
            "answered": (self.random.uniform(0, 3), self._answer),
            "voided": (self.random.uniform(-1, 1), self._void),
            "opted out": (self.random.uniform(-1, 1), self._opt_out),
        }
        ahead = sorted(
            (visit.due_at.timestamp() + acts[visit.fate][0] + self.random.uniform(-1, 1), number)
            for number, visit in enumerate(self.visits)
            if visit.fate in acts
        )
        for at, number in ahead:
            visit = self.visits[number]
            while (visit.checkin is None or time.time() < at) and not self.stop_asked.is_set():
                time.sleep(0.02)
            if self.stop_asked.is_set():
                return
            acts[visit.fate][1](visit)

    def _record(self, visit: Visit) -> None:
        self._until_done(lambda: self._post_infusion(visit) if visit.on_the_page else self._record_by_verb(visit))
        visit.recorded_at = time.time()
        self._until_done(lambda: self._make_due(visit))
        self.acknowledged.append(visit.submission)

    def _record_by_verb(self, visit: Visit) -> bool:
        ended_at = visit.due_at - timedelta(hours=24)
        recording.record_infusion(
            by=self.nurse,
            patient=visit.patient,
            course=None,
            planned_days=1,
            details={
                "product": Product.objects.get(name="Privigen"),
                "started_at": ended_at - timedelta(hours=4),
                "ended_at": ended_at,
                "dose_g": Decimal(35),
                "weight_kg": Decimal(70),
                "premedication_record": PremedicationRecord.NONE,
                "reaction_record": ReactionRecord.OBSERVED,
            },
            vials=[],
            premedications=[],
            acknowledged=recording.Acknowledgement("Known, closely watched"),
            submission_id=visit.submission,
            now=timezone.now(),
        )
        return True

    def _post_infusion(self, visit: Visit) -> bool:
        # The page takes whole minutes: due half an hour later at first, so that nothing is sent before _make_due.
        ended_at = (visit.due_at - timedelta(hours=23, minutes=30)).astimezone(self.clinic.zone)
        form = infusion_form(
            submission_id=str(visit.submission),
            started_at=f"{ended_at - timedelta(hours=4):%Y-%m-%dT%H:%M}",
            ended_at=f"{ended_at:%Y-%m-%dT%H:%M}",
        )
        if self.browser is None:
            self.browser = Browser(self.site)
            self.browser.sign_in(self.nurse.username)
        self.posting.set()
        try:
            answer = self.browser.post(f"/patients/{visit.patient.pk}/infusions/new/", form)
        finally:
            self.posting.clear()
        if "/infusions/" not in answer.url or answer.url.endswith("/new/"):
            self.browser = None
            raise Refused(f"the infusion was not recorded: {answer.url}, {answer.complaints()}")
        return True

    def _make_due(self, visit: Visit) -> bool:
        """Set the check-in's time to the second: the page takes whole minutes, and a clinic may have quiet hours."""
        checkin = (
            CheckIn.objects.filter(infusion__submission_id=visit.submission, kind=CheckInKind.HOURS_24)
            .select_related("infusion__patient__clinic")
            .first()
        )
        if checkin is None:
            self.problems.append(f"infusion {visit.submission} was acknowledged without a check-in after 24 h")
            return True
        windows = {"window over": timedelta(seconds=0.2), "short window": timedelta(seconds=6)}
        due_at = max(visit.due_at, timezone.now() + timedelta(seconds=0.2))
        closes_at = due_at + windows.get(visit.fate, timedelta(hours=48))
        planned = CheckIn.objects.filter(pk=checkin.pk, state=CheckInState.PLANNED)
        planned.update(due_at=due_at, closes_at=closes_at)
        for mail in checkin.mails.all():
            mail.__class__.objects.filter(pk=mail.pk, state="queued").update(due_at=due_at, expires_at=closes_at)
        visit.checkin, visit.due_at = checkin, due_at
        return True

    def _answer(self, visit: Visit) -> None:
        checkin = visit.checkin
        assert checkin is not None
        begun_at = time.time()

        def answer() -> bool:
            if CheckIn.objects.filter(pk=checkin.pk).exclude(answered_at=None).exists():
                return True
            page = Browser(self.site).get(checkin.link_path())
            page.browser.post(page.path, page.hidden() | {"has_problem": "no"})
            return False

        self._until_done(answer)
        self._note(visit, "an answer", begun_at)

    def _void(self, visit: Visit) -> None:
        begun_at = time.time()

        def void() -> bool:
            infusion = Infusion.objects.get(submission_id=visit.submission)
            if not infusion.is_void:
                recording.void_infusion(
                    infusion,
                    by=self.nurse,
                    reason="Recorded for another patient",
                    seen_version=infusion.version,
                    now=timezone.now(),
                )
            return True

        self._until_done(void)
        self._note(visit, "the infusion was voided", begun_at)

    def _opt_out(self, visit: Visit) -> None:
        begun_at = time.time()

        def opt_out() -> bool:
            patient = Patient.objects.get(pk=visit.patient.pk)
            if patient.email_consent_at:
                correct_patient(
                    patient,
                    by=self.nurse,
                    details={},
                    email_consent=False,
                    seen_version=patient.version,
                    now=timezone.now(),
                )
            return True

        self._until_done(opt_out)
        self._note(visit, "the patient opted out", begun_at)

    def _note(self, visit: Visit, why: str, begun_at: float) -> None:
        assert visit.checkin is not None
        self.called_off.append(CalledOff(visit.checkin.pk, why, begun_at, time.time()))

    def _until_done(self, act: Callable[[], bool]) -> None:
        """Repeat an act until it says that it is done, as when a fault cut it short."""
        deadline = time.monotonic() + GIVE_UP_AFTER_S
        last: Exception | None = None
        while time.monotonic() < deadline and not self.stop_asked.is_set():
            try:
                if act():
                    return
            except (Error, OSError, Refused) as error:
                last = error
                connection.close()
                time.sleep(REPEAT_AFTER_S)
        if not self.stop_asked.is_set():
            raise NeverDone(f"{type(last).__name__}: {last}")


class Refused(Exception):
    """A page did not do what was asked; what it said stands in the message."""


@dataclass
class Page:
    """What came back."""

    browser: "Browser"
    url: str
    text: str

    @property
    def path(self) -> str:
        return urllib.parse.urlsplit(self.url).path

    def hidden(self) -> dict[str, str]:
        """The hidden fields of the page's forms."""
        inputs = re.findall(r"<input[^>]*type=\"hidden\"[^>]*>", self.text)
        named = [(re.search(r'name="([^"]*)"', one), re.search(r'value="([^"]*)"', one)) for one in inputs]
        return {name[1]: value[1] if value else "" for name, value in named if name}

    def complaints(self) -> list[str]:
        return re.findall(r"invalid-feedback[^>]*>\s*([^<]{3,100})", self.text)[:3]


class Browser:
    """A browser with cookies, over real HTTP. Raises OSError when the web server is away, and for its errors."""

    def __init__(self, site: str) -> None:
        self.site = site
        self.cookies = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))

    def get(self, path: str) -> Page:
        return self._open(urllib.request.Request(f"{self.site}{path}"))

    def post(self, path: str, data: dict[str, str]) -> Page:
        token = next((cookie.value for cookie in self.cookies if cookie.name == "csrftoken"), "") or ""
        body = urllib.parse.urlencode({"csrfmiddlewaretoken": token} | data).encode()
        return self._open(urllib.request.Request(f"{self.site}{path}", body, {"Referer": self.site}))

    def sign_in(self, name: str) -> None:
        page = self.get("/sign-in/")
        page = self.post(page.path, page.hidden() | {"login": name, "password": PASSWORD})

    def _open(self, request: urllib.request.Request) -> Page:
        try:
            with self.opener.open(request, timeout=15) as answer:
                return Page(self, answer.url, answer.read().decode())
        except http.client.HTTPException as error:
            raise OSError(str(error)) from error


def gather(site: str, slug: str, count: int, *, over_s: float, chance: random.Random) -> People:
    """A clinic with `count` made-up patients whose check-ins fall due over so many seconds from now."""
    zone = _zone_with_noon()
    clinic = Clinic.objects.create(name="Synthetic Fault Clinic", slug=slug, time_zone=zone, phone="+1 555 0100")
    nurse = make_staff(clinic, f"nurse-{slug}")
    people = People(site, clinic, nurse, chance)
    begin = timezone.now() + timedelta(seconds=4)
    fates = [fate for fate, share in FATES.items() for _ in range(share)]
    addresses = {"refused": "refused-", "put off": "later-"}
    for number in range(count):
        fate = chance.choice([*fates, *[""] * (100 - len(fates))])
        email = f"{addresses.get(fate, '')}{slug}-{number}@patients.example"
        due_at = begin + timedelta(seconds=over_s * number / count)
        patient = make_patient(clinic, created_by=nurse, mrn=f"{slug}-{number:05}", email=email)
        people.visits.append(Visit(patient, fate, due_at, chance.randrange(100) < ON_THE_PAGE))
    late = timezone.now() + timedelta(seconds=3) - begin
    for visit in people.visits:
        visit.due_at += max(late, timedelta())
    return people


def _zone_with_noon() -> str:
    """A zone in which it is about noon now, so that no clinic's quiet hours hold anything back."""
    ahead = 12 - datetime.now(UTC).hour
    return f"Etc/GMT{-ahead:+d}" if ahead else "Etc/GMT"
