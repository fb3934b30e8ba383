"""A patient whose every word is a canary: each kind of mail, in each language, as it goes over the line.

A new kind of mail must be planned in `PLANNED`, or the test that counts them fails.
"""

import logging
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from email.message import EmailMessage

import pytest
from django.conf import settings
from django.utils import timezone

from patients.models import Clinic, IgaResult, Patient, User
from reactions import outbox, recording, worklist
from reactions.checkins import due
from reactions.models import CheckIn, Infusion, OutboxMessage, Product, Reaction
from reactions.vocabulary import CheckInKind, MailKind, MailState, PatientSymptom, WorkKind, choices
from tests.support.factories import make_checkins, make_infusion, make_patient, make_reaction
from tests.support.smtp_sink import SmtpSink

pytestmark = pytest.mark.django_db

LANGUAGES = [code for code, _ in settings.LANGUAGES]
# Each word stands in one place of the record only; what a mail carries of it can have come from nowhere else.
WORDS = {
    "given_name": "Canarina",
    "family_name": "Kanarienvogel",
    "mrn": "MRNCANARY4711",
    "diagnosis": "Canaritis",
    "email": "localcanary@patients.example",
    "phone": "+1 555 0147",
    "birth_date": date(1931, 12, 29),
}
ELSEWHERE = [
    "productcanary",
    "lotcanary",
    "notecanary",
    "commentcanary",
    "narrativecanary",
    "symptomcanary",
    "drugcanary",
    "riskcanary",
    "donecanary",
]
DATES = ["1931-12-29", "29.12.1931", "12/29/1931", "December 29", "29 de diciembre"]
# What a reader on the way must not learn, whoever's record it is.
TELLING = ["privigen", "immune", "globulin", "ivig", "infusion", "infusión", "myositis", "reaction", "reacción"]
CANARIES = [
    "Canarina",
    "Kanarienvogel",
    "MRNCANARY4711",
    "Canaritis",
    "localcanary",
    "555 0147",
    "5550147",
    *ELSEWHERE,
    *DATES,
    *TELLING,
    *(label for _, label in choices(PatientSymptom)),
]


@pytest.fixture
def canary(clinic: Clinic, nurse: User, administrator: User, request: pytest.FixtureRequest) -> Patient:
    """With a canary in every field there is, and everything recorded that can be."""
    language = getattr(request, "param", "en")
    patient = make_patient(clinic, language=language, **WORDS)
    IgaResult.objects.create(patient=patient, value=80, measured_on=timezone.localdate(), created_by=nurse)
    patient.risks.create(factor="thrombosis", note="riskcanary", created_by=nurse)
    product = Product.objects.create(name="productcanary", source="Made up", concentration_percent=10)
    infusion = make_infusion(patient, product=product, notes="notecanary", dose_g=Decimal(30))
    infusion.vials.create(lot="lotcanary")
    infusion.premedications.create(drug="other", other_drug="drugcanary", minutes_before=30)
    reaction = make_reaction(infusion, {}, narrative="narrativecanary", is_serious=True)
    reaction.symptoms.create(
        term="other", other_text="symptomcanary", grade=3, ctcae_version="5.0", onset_at=reaction.onset_at
    )
    make_checkins(infusion)
    return patient


def invitation(patient: Patient) -> None:
    due.queue_what_is_due(timezone.now())


def reminder(patient: Patient) -> None:
    day = timedelta(days=1)
    sent = CheckIn.objects.filter(infusion__patient=patient, kind=CheckInKind.HOURS_24)
    sent.update(state="sent", sent_at=timezone.now() - day)
    due.queue_reminders(timezone.now())


def alert(patient: Patient) -> None:
    checkin = CheckIn.objects.get(infusion__patient=patient, kind=CheckInKind.HOURS_24)
    recording.submit_answer(
        checkin,
        has_problem=True,
        details={"comment": "commentcanary", "care_sought": "hospital"},
        symptoms=dict.fromkeys(PatientSymptom, "severe"),
        now=timezone.now(),
    )


def work(patient: Patient) -> None:
    worklist.follow(Reaction.objects.get(infusion__patient=patient), now=timezone.now())
    for kind in (WorkKind.BOUNCED, WorkKind.UNSUBSCRIBED):
        worklist.follow_patient(patient, kind, now=timezone.now())


# How a mail of each kind comes to be planned for the patient.
PLANNED: dict[MailKind, Callable[[Patient], None]] = {
    MailKind.CHECKIN_INVITATION: invitation,
    MailKind.CHECKIN_REMINDER: reminder,
    MailKind.ALERT: alert,
    MailKind.WORK: work,
}


def test_every_kind_of_mail_is_looked_at_here() -> None:
    assert set(PLANNED) == set(MailKind)


@pytest.mark.parametrize("canary", LANGUAGES, indirect=True)
@pytest.mark.parametrize("kind", list(MailKind))
def test_no_mail_carries_a_word_of_the_record(canary: Patient, kind: MailKind, smtp_sink: SmtpSink) -> None:
    PLANNED[kind](canary)
    assert OutboxMessage.objects.filter(kind=kind).exists()
    OutboxMessage.objects.exclude(kind=kind).delete()
    outbox.dispatch()
    assert len(smtp_sink.messages) == OutboxMessage.objects.filter(state=MailState.SENT).count() > 0
    for message, envelope in zip(smtp_sink.messages, smtp_sink.envelopes, strict=True):
        del message["To"]
        assert "canary" not in (envelope.mail_from or "").lower()
        # As it went over the line, and as a reader sees it: neither encoding hides a word.
        for text in (message.as_string(), readable(message)):
            assert_tells_nothing(text)


def readable(message: EmailMessage) -> str:
    """Headers and parts, decoded."""
    headers = [f"{name}: {value}" for name, value in message.items()]
    return "\n".join([*headers, *(part.get_content() for part in message.iter_parts())])


def assert_tells_nothing(text: str) -> None:
    # The clinic's own name is its choice; settings offer another one for mails.
    rest = text.replace("Synthetic Infusion Clinic", "")
    # Random letters, which may spell a word by chance.
    for checkin in CheckIn.objects.all():
        for path in (checkin.link_path(), checkin.stop_path()):
            rest = rest.replace(path.strip("/").rpartition("/")[2], "")
    rest = rest.lower()
    found = [word for word in CANARIES if word.lower() in rest]
    assert not found, f"{found} stand in a mail"


@pytest.mark.parametrize("answer", ["recipient", "message", "hang up"])
def test_neither_row_nor_log_of_a_refused_mail_carries_a_word_of_the_record(
    canary: Patient, smtp_sink: SmtpSink, caplog: pytest.LogCaptureFixture, answer: str
) -> None:
    due.queue_what_is_due(timezone.now())
    said = f"5.1.1 <{canary.email}> is not known here"
    if answer == "recipient":
        smtp_sink.refuse_next_recipient(550, said)
    elif answer == "message":
        smtp_sink.refuse_next(451, said)
    else:
        smtp_sink.drop_after_data()
    with caplog.at_level(logging.DEBUG):
        outbox.dispatch()
    row = OutboxMessage.objects.get()
    ours = [one.getMessage() + str(one.exc_text or "") for one in caplog.records if one.name.startswith("reactions")]
    assert ours
    for text in (*ours, row.last_error, row.checkin.state_reason, str(row)):
        assert_tells_nothing(text)


def test_neither_row_nor_log_of_a_mail_that_cannot_be_written_carries_a_word_of_the_record(
    canary: Patient, smtp_sink: SmtpSink, caplog: pytest.LogCaptureFixture
) -> None:
    Patient.objects.filter(pk=canary.pk).update(email="localcanary\n@patients.example")
    due.queue_what_is_due(timezone.now())
    assert outbox.dispatch() == {"unwritten": 1}
    ours = [one for one in caplog.records if one.name.startswith("reactions")]
    assert ours
    formatter = logging.Formatter()
    for text in (*(formatter.format(one) for one in ours), OutboxMessage.objects.get().last_error):
        # Names of our own files may stand there.
        assert_tells_nothing(
            text.replace(str(settings.BASE_DIR), "").replace("reactions/", "").replace("reactions.", "")
        )


def test_the_canary_is_found_where_one_is(canary: Patient) -> None:
    """The judge itself: every word of the record is noticed."""
    infusion = Infusion.objects.get(patient=canary)
    for word in (canary.full_name, canary.mrn, infusion.notes, infusion.product.name, str(canary.birth_date)):
        with pytest.raises(AssertionError):
            assert_tells_nothing(f"Hello {word}")
    assert_tells_nothing("How have you been since your last visit?" + str(timedelta(hours=24)))
