"""Patients who do not answer: one line each until a call settles it or the patient answers."""

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from patients.models import AuditEvent, Clinic, Patient, User
from reactions import recording
from reactions.checkins import due
from reactions.checkins.plan import plan_checkins
from reactions.models import Alert, Answer, CheckIn, Infusion, OutboxMessage, PhoneCall
from reactions.models.checkin import SENT_TOO_LATE
from reactions.recording import submit_answer
from reactions.vocabulary import AlertLevel, CheckInKind, CheckInState, PatientSymptom, PhoneOutcome
from tests.support.factories import make_infusion, make_patient
from tests.support.smtp_sink import SmtpSink

pytestmark = pytest.mark.django_db

TO_CALL = "/worklist/silence/"
NOBODY = "Nobody is to be called."


def words_of(answer: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode())).replace("&#x27;", "'")


def asked(infusion: Infusion, kind: CheckInKind = CheckInKind.HOURS_24, **fields: Any) -> CheckIn:
    """A check-in that was mailed three hours after it was due and is over without an answer; `fields` replaces."""
    if not infusion.checkins.exists():
        plan_checkins(infusion, now=timezone.now())
    checkin = infusion.checkins.get(kind=kind)
    values = {"state": CheckInState.EXPIRED, "sent_at": checkin.due_at + timedelta(hours=3)}
    CheckIn.objects.filter(pk=checkin.pk).update(**(values | fields))
    checkin.refresh_from_db()
    return checkin


def long_ago(patient: Patient, days: int = 20) -> Infusion:
    return make_infusion(patient, ended_at=timezone.now() - timedelta(days=days))


@pytest.fixture
def silent(patient: Patient) -> CheckIn:
    """The patient's only check-in that was sent, over for two weeks, without an answer."""
    Patient.objects.filter(pk=patient.pk).update(phone="+1 555 0177", language="es")
    return asked(long_ago(patient))


def call(page: Client, patient: Patient, outcome: str, words: str = "", **changes: Any) -> Any:
    address = reverse("reactions:silence", args=[patient.pk])
    data = {"submission_id": str(uuid4()), "outcome": outcome, "words": words} | changes
    return page.post(address, data)


def is_listed(page: Client) -> bool:
    shown = words_of(page.get(TO_CALL))
    counted = "To call 1 open" in shown
    assert counted is ("Tessa Synthetic" in shown) is (NOBODY not in shown)
    return counted


def test_an_empty_list_says_so(page: Client) -> None:
    assert NOBODY in words_of(page.get(TO_CALL))


def test_a_line_has_whom_to_call_how_and_why(page: Client, silent: CheckIn) -> None:
    shown = words_of(page.get(TO_CALL))
    assert "Tessa Synthetic +1 555 0177 · español" in shown
    assert "24 hours after, Privigen of" in shown
    assert "not answered by" in shown
    one = words_of(page.get(reverse("reactions:silence", args=[silent.patient.pk])))
    assert "have you had any new or worse health problem?" in one
    assert "+1 555 0177" in one


def test_a_patient_has_one_line_however_many_mails(page: Client, patient: Patient) -> None:
    first = long_ago(patient, 45)
    for kind in (CheckInKind.HOURS_24, CheckInKind.HOURS_72, CheckInKind.DAYS_8, CheckInKind.DAYS_28):
        asked(first, kind)
    asked(long_ago(patient, 12))
    shown = words_of(page.get(TO_CALL))
    assert shown.count("Tessa Synthetic") == 1
    assert "5 check-ins without an answer since" in shown


@pytest.mark.parametrize(
    ("state", "sent_days_ago", "listed"),
    [
        (CheckInState.PLANNED, None, False),
        (CheckInState.SENT, 2.9, False),
        (CheckInState.SENT, 3.1, True),
        (CheckInState.EXPIRED, 20, True),
        (CheckInState.MISSED, None, False),
        (CheckInState.CANCELLED, None, False),
    ],
)
def test_when_it_is_time(
    page: Client, patient: Patient, state: CheckInState, sent_days_ago: float | None, listed: bool
) -> None:
    """A mail 72 hours old without an answer, that is 48 hours after the reminder; or a window that is over."""
    now = timezone.now()
    sent_at = now - timedelta(days=sent_days_ago) if sent_days_ago else None
    reason = {CheckInState.MISSED: SENT_TOO_LATE, CheckInState.CANCELLED: "The infusion was voided."}.get(state, "")
    closes_at = now + timedelta(days=1) if state == CheckInState.SENT else now - timedelta(days=1)
    asked(long_ago(patient, 9), CheckInKind.DAYS_8, state=state, sent_at=sent_at, state_reason=reason)
    CheckIn.objects.filter(kind=CheckInKind.DAYS_8).update(
        due_at=sent_at or now - timedelta(days=2), closes_at=closes_at
    )
    assert is_listed(page) is listed


@pytest.mark.parametrize(("remind_after_h", "listed"), [(96, False), (12, True), (None, False)])
def test_the_time_to_call_follows_the_steps_reminder(
    page: Client, patient: Patient, remind_after_h: int | None, listed: bool
) -> None:
    now = timezone.now()
    checkin = asked(long_ago(patient, 13), CheckInKind.DAYS_8, state=CheckInState.SENT)
    CheckIn.objects.filter(pk=checkin.pk).update(
        sent_at=now - timedelta(hours=61),
        closes_at=now + timedelta(days=2),
        remind_after=remind_after_h and timedelta(hours=remind_after_h),
    )
    assert is_listed(page) is listed


def test_a_reminder_gives_48_hours_more(page: Client, patient: Patient) -> None:
    now = timezone.now()
    checkin = asked(long_ago(patient, 13), CheckInKind.DAYS_8, state=CheckInState.SENT)
    CheckIn.objects.filter(pk=checkin.pk).update(closes_at=now + timedelta(days=2))
    mail: dict[str, Any] = {"kind": "checkin_invitation", "checkin": checkin, "due_at": now, "state": "sent"}
    for hours, listed in ((47, False), (49, True)):
        OutboxMessage.objects.all().delete()
        sent_at = now - timedelta(hours=hours)
        OutboxMessage.objects.create(idempotency_key="again", message_id="<again@x.example>", sent_at=sent_at, **mail)
        assert is_listed(page) is listed, hours


def test_a_refused_address_is_listed_with_the_servers_words(
    page: Client, patient: Patient, smtp_sink: SmtpSink
) -> None:
    infusion = make_infusion(patient)
    plan_checkins(infusion, now=timezone.now())
    smtp_sink.refuse_next_recipient(550, "5.1.1 No such mailbox")
    assert due.tick().mails == {"refused": 1}
    assert is_listed(page)
    assert "The mail server refused the address: 550 5.1.1 No such mailbox" in words_of(page.get(TO_CALL))
    # Corrected in time, the mail goes out after all, and nobody needs to call.
    Patient.objects.update(email="right@patients.example")
    assert due.tick().mails == {"sent": 1}
    assert not is_listed(page)


def test_a_reminder_that_did_not_arrive_is_listed_while_the_window_is_open(page: Client, patient: Patient) -> None:
    checkin = asked(make_infusion(patient), state=CheckInState.SENT, sent_at=timezone.now())
    assert not is_listed(page)
    mail: dict[str, Any] = {"kind": "checkin_reminder", "checkin": checkin, "due_at": timezone.now()}
    OutboxMessage.objects.create(
        idempotency_key="x", message_id="<x@x.example>", state="refused", last_error="550 gone", **mail
    )
    assert is_listed(page)
    assert "; the reminder was refused: 550 gone." in words_of(page.get(TO_CALL))


def come_back(checkin: CheckIn) -> None:
    """The mail of the check-in is returned by the server of the patient's address."""
    message_id = checkin.mails.get().message_id
    assert recording.record_bounce(message_id, words="5.1.1 No such user", for_good=True, now=timezone.now())


def test_a_patient_whose_mail_came_back_is_called_for_it_and_for_what_was_not_sent_since(
    page: Client, patient: Patient, smtp_sink: SmtpSink
) -> None:
    infusion = make_infusion(patient)
    plan_checkins(infusion, now=timezone.now())
    assert due.tick().mails == {"sent": 1}
    assert not is_listed(page)
    come_back(infusion.checkins.earliest("due_at"))
    assert is_listed(page)
    assert "The mail came back: 5.1.1 No such user" in words_of(page.get(TO_CALL))
    later = CheckIn.objects.get(kind=CheckInKind.HOURS_72)
    CheckIn.objects.filter(pk=later.pk).update(due_at=timezone.now())
    due.tick()
    assert "2 check-ins without an answer since" in words_of(page.get(TO_CALL))
    not_delivered = page.get("/checkins/?show=failed").context["lines"]
    assert {checkin.kind for checkin, _ in not_delivered} == {CheckInKind.HOURS_24, CheckInKind.HOURS_72}
    submit_answer(infusion.checkins.earliest("due_at"), has_problem=False, details={}, symptoms={}, now=timezone.now())
    assert not is_listed(page)


def test_a_mail_that_came_back_when_the_check_in_was_over_is_told_in_words(
    page: Client, patient: Patient, smtp_sink: SmtpSink
) -> None:
    infusion = make_infusion(patient)
    plan_checkins(infusion, now=timezone.now())
    due.tick()
    over = infusion.checkins.earliest("due_at")
    CheckIn.objects.filter(pk=over.pk).update(state=CheckInState.EXPIRED)
    come_back(over)
    assert "The mail came back: 5.1.1 No such user" in words_of(page.get(TO_CALL))


def test_what_a_patient_began_between_check_ins_is_told_as_that_and_nobody_is_called(
    page: Client, patient: Patient
) -> None:
    infusion, now = long_ago(patient), timezone.now()
    report = recording.begin_report(patient, now=now - timedelta(hours=25))
    assert report is not None
    address = reverse("reactions:checkin", args=[report.pk])
    assert "not sent yet, open until" in words_of(page.get(address))
    assert due.close_what_is_over(now) == 1
    shown = words_of(page.get(address))
    assert "Begun, not sent" in shown
    assert "Begun by the patient" in shown
    for wrong in ("Due since", "Sent at", "not answered by", "Mailed"):
        assert wrong not in shown
    assert report.pk not in {checkin.pk for checkin, _ in page.get("/checkins/?show=unanswered").context["lines"]}
    assert not is_listed(page)
    assert report.infusion == infusion


@pytest.mark.parametrize("outcome", ["no_problem", "declined", "given_up"])
def test_a_call_that_settles_it_takes_the_line_away(page: Client, silent: CheckIn, nurse: User, outcome: str) -> None:
    answered = call(page, silent.patient, outcome, "Well; back to work")
    assert answered.headers["Location"] == TO_CALL
    assert not is_listed(page)
    kept = PhoneCall.objects.get()
    assert (kept.checkin, kept.outcome, kept.words, kept.called_by) == (silent, outcome, "Well; back to work", nurse)
    assert kept.phone == "+1 555 0177"
    event = AuditEvent.objects.get(act="silence.called")
    assert (event.by, event.patient_id) == (nurse, silent.patient.pk)
    assert "Well; back to work" in words_of(page.get(reverse("reactions:checkin", args=[silent.pk])))
    assert "Well; back to work" in words_of(page.get(reverse("reactions:silence", args=[silent.patient.pk])))


def test_a_call_in_vain_stays_and_is_counted(page: Client, silent: CheckIn) -> None:
    call(page, silent.patient, "not_reached", "Nobody picks up")
    call(page, silent.patient, "not_reached")
    shown = words_of(page.get(TO_CALL))
    assert "Called in vain 2 times" in shown
    assert is_listed(page)
    call(page, silent.patient, "wrong_number")
    assert "The number is wrong" in words_of(page.get(TO_CALL))
    Patient.objects.update(phone="+1 555 0188")
    assert "The number is wrong" not in words_of(page.get(TO_CALL))
    assert is_listed(page)


def test_giving_up_needs_a_reason(page: Client, silent: CheckIn) -> None:
    assert "Write why nobody tries any further." in words_of(call(page, silent.patient, "given_up"))
    assert "Choose an answer." in words_of(call(page, silent.patient, ""))
    assert not PhoneCall.objects.exists()


def test_who_stays_silent_the_next_time_is_listed_again(page: Client, silent: CheckIn) -> None:
    earlier = silent.due_at + timedelta(days=3)
    recording.record_call(
        silent.patient,
        by=silent.patient.created_by,
        checkin=silent,
        outcome=PhoneOutcome.NO_PROBLEM,
        submission_id=uuid4(),
        now=earlier,
    )
    assert not is_listed(page)
    asked(silent.infusion, CheckInKind.DAYS_8)
    assert is_listed(page)
    assert "check-ins without an answer" not in words_of(page.get(TO_CALL))


def test_a_patient_who_answers_leaves_the_list(page: Client, silent: CheckIn) -> None:
    later = make_infusion(silent.patient)
    plan_checkins(later, now=timezone.now())
    submit_answer(later.checkins.earliest("due_at"), has_problem=False, details={}, symptoms={}, now=timezone.now())
    assert not is_listed(page)


@pytest.mark.parametrize("field", ["died_on", "email_consent_at", "voided_at"])
def test_the_dead_and_who_withdrew_are_not_called(page: Client, silent: CheckIn, nurse: User, field: str) -> None:
    now = timezone.now()
    changes: dict[str, Any] = {
        "died_on": {"died_on": now.date()},
        "email_consent_at": {"email_consent_at": None, "email_consent_by": None, "email_consent_text": ""},
        "voided_at": {"voided_at": now, "voided_by": nurse, "void_reason": "x"},
    }[field]
    Patient.objects.update(**changes)
    assert not is_listed(page)


def test_a_void_infusion_asks_nobody(page: Client, silent: CheckIn, nurse: User) -> None:
    page.post(reverse("reactions:void_infusion", args=[silent.infusion_id]), {"seen_version": "1", "reason": "Mistake"})
    assert not is_listed(page)


def test_a_problem_told_by_telephone_becomes_an_answer_with_its_alert(
    page: Client, silent: CheckIn, nurse: User
) -> None:
    """The check-in is over; triage and alert follow all the same."""
    answered = call(page, silent.patient, "problem", "Has chest pain")
    address = reverse("reactions:telephone", args=[silent.pk])
    assert answered.headers["Location"] == address
    # Whoever is called away before it is written down finds the line, with what is to be done.
    assert is_listed(page)
    assert "Told of a problem: write it down" in words_of(page.get(TO_CALL))
    data = {
        "submission_id": str(uuid4()),
        f"symptom_{PatientSymptom.CHEST_PAIN}": "mild",
        "still_there": "yes",
        "care_sought": "called",
        "comment": "“It presses”",
    }
    stored = page.post(address, data)
    alert = Alert.objects.get()
    assert stored.headers["Location"] == reverse("reactions:acknowledge", args=[alert.pk])
    assert alert.level == AlertLevel.RED
    assert page.post(address, data).status_code == 302
    answer = Answer.objects.get()
    assert (answer.answered_by, answer.has_problem, answer.comment) == ("telephone", True, "“It presses”")
    # The form for staff was filled in, and nobody said in which language they spoke.
    assert (answer.question_set, answer.language) == ("telephone-1", "")
    assert AuditEvent.objects.get(act="answer.sent").by == nurse
    silent.refresh_from_db()
    assert silent.state == CheckInState.ANSWERED
    assert PhoneCall.objects.get(answer=answer).called_by == nurse
    assert not is_listed(page)
    shown = words_of(page.get(reverse("reactions:checkin", args=[silent.pk])))
    assert "taken down by the clinic, by telephone" in shown
    assert "Has chest pain" in shown
    assert "Chest pain: mild" in words_of(page.get("/worklist/reports/"))


def test_a_fever_of_more_than_a_day_told_by_telephone_is_told_apart(page: Client, silent: CheckIn) -> None:
    began = timezone.now().astimezone(silent.patient.zone) - timedelta(hours=30)
    data = {
        "submission_id": str(uuid4()),
        f"symptom_{PatientSymptom.FEVER}": "mild",
        "began_at": f"{began:%Y-%m-%dT%H:%M}",
    }
    page.post(reverse("reactions:telephone", args=[silent.pk]), data)
    assert (Alert.objects.get().level, Alert.objects.get().why) == (
        AlertLevel.AMBER,
        "Reported: fever for more than 24 hours",
    )


def test_what_is_told_by_telephone_is_complete_or_comes_back(page: Client, silent: CheckIn) -> None:
    address = reverse("reactions:telephone", args=[silent.pk])
    assert "Choose at least one problem" in words_of(page.post(address, {}))
    data = {"symptom_headache": "mild", "began_at": "2020-01-01T10:00", "comment": "Typed once"}
    refused = page.post(address, data).content.decode()
    assert "This is before the infusion." in refused
    assert "Typed once" in refused
    assert not Answer.objects.exists()


def test_a_patient_who_rings_up_about_an_answered_check_in_adds_a_version(page: Client, infusion: Infusion) -> None:
    plan_checkins(infusion, now=timezone.now())
    checkin = infusion.checkins.earliest("due_at")
    submit_answer(checkin, has_problem=False, details={}, symptoms={}, now=timezone.now())
    shown = page.get(reverse("reactions:checkin", args=[checkin.pk])).content.decode()
    address = reverse("reactions:telephone", args=[checkin.pk])
    assert address in shown
    page.post(address, {"symptom_itch": "mild"})
    assert list(checkin.answers.values_list("version", "answered_by")) == [(1, "patient"), (2, "telephone")]


def test_patients_may_still_not_answer_when_it_is_over(client: Client, silent: CheckIn) -> None:
    assert client.post(silent.link_path(), {"has_problem": "no"}).status_code == 410
    assert not Answer.objects.exists()


def test_a_call_is_stored_once_and_kept_as_it_was(page: Client, silent: CheckIn) -> None:
    submission = str(uuid4())
    for _ in range(2):
        call(page, silent.patient, "not_reached", "First", submission_id=submission)
    again = call(page, silent.patient, "no_problem", "Second", submission_id=submission)
    assert "This form was saved already" in words_of(again)
    assert PhoneCall.objects.get().words == "First"


def test_a_call_is_kept_though_the_patient_answered_meanwhile(page: Client, silent: CheckIn) -> None:
    later = make_infusion(silent.patient)
    plan_checkins(later, now=timezone.now())
    submit_answer(later.checkins.earliest("due_at"), has_problem=False, details={}, symptoms={}, now=timezone.now())
    words = words_of(page.get(reverse("reactions:silence", args=[silent.patient.pk])))
    assert "Nothing is open" in words
    assert "Store the call" in words
    assert call(page, silent.patient, "no_problem", "Said it twice").status_code == 302
    assert PhoneCall.objects.get().words == "Said it twice"


def test_nobody_who_was_never_asked_is_called(page: Client, patient: Patient) -> None:
    address = reverse("reactions:silence", args=[patient.pk])
    words = words_of(page.get(address))
    assert "Nothing is open" in words
    assert "Store the call" not in words
    assert call(page, patient, "no_problem").status_code == 404


def test_another_clinics_patient_is_not_found(client: Client, silent: CheckIn, other_nurse: User) -> None:
    client.force_login(other_nurse)
    assert NOBODY in words_of(client.get(TO_CALL))
    assert call(client, silent.patient, "no_problem").status_code == 404
    assert client.post(reverse("reactions:telephone", args=[silent.pk]), {"symptom_itch": "mild"}).status_code == 404
    assert not PhoneCall.objects.exists()
    assert not Answer.objects.exists()


def test_the_latest_silence_stands_first(page: Client, clinic: Clinic) -> None:
    for name, days in (("Oldest", 40), ("Newest", 10), ("Middle", 20)):
        asked(long_ago(make_patient(clinic, family_name=name), days))
    assert re.findall(r"Tessa (\w+est|Middle)", words_of(page.get(TO_CALL))) == ["Newest", "Middle", "Oldest"]


def test_the_list_asks_the_same_queries_however_long_it_is_and_has_pages(
    page: Client, clinic: Clinic, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    def fill(times: int) -> None:
        for number in range(times):
            patient = make_patient(clinic)
            asked(long_ago(patient, 10 + number))
            call(page, patient, "not_reached", "Nobody")

    fill(1)
    page.get(TO_CALL)
    with django_assert_max_num_queries(25) as one:
        page.get(TO_CALL)
    most = len(one)
    fill(49)
    # What the forms said is shown, and forgotten, first.
    page.get(TO_CALL)
    with django_assert_max_num_queries(most):
        shown = words_of(page.get(TO_CALL))
    assert "Page 1 of 2" in shown
    assert shown.count("Called in vain 1 time") == 25


def test_a_check_in_that_the_tick_closes_is_listed(page: Client, patient: Patient) -> None:
    checkin = asked(make_infusion(patient), state=CheckInState.SENT)
    CheckIn.objects.filter(pk=checkin.pk).update(closes_at=timezone.now() - timedelta(minutes=1))
    due.close_what_is_over(timezone.now())
    checkin.refresh_from_db()
    assert checkin.state == CheckInState.EXPIRED
    assert is_listed(page)


def test_a_call_is_never_about_another_patients_check_in(silent: CheckIn, clinic: Clinic, nurse: User) -> None:
    with pytest.raises(ValueError, match="another patient"):
        recording.record_call(
            make_patient(clinic),
            by=nurse,
            checkin=silent,
            outcome=PhoneOutcome.NO_PROBLEM,
            submission_id=uuid4(),
            now=timezone.now(),
        )
    assert not PhoneCall.objects.exists()


def test_a_problem_told_after_its_infusion_was_voided_is_taken_down_about_another(
    page: Client, silent: CheckIn, nurse: User
) -> None:
    other = make_infusion(silent.patient)
    plan_checkins(other, now=timezone.now())
    recording.void_infusion(
        silent.infusion, by=nurse, reason="A slip", seen_version=silent.infusion.version, now=timezone.now()
    )
    answer = call(page, silent.patient, "problem")
    assert answer.status_code == 302
    assert page.get(answer.headers["Location"]).status_code == 200
    assert PhoneCall.objects.get().checkin.infusion == other
