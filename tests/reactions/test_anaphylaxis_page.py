"""Suspected anaphylaxis at the chairside: taps, evidence, verdict, same lot, banner and draft report."""

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import DjangoAssertNumQueries

from patients.models import AuditEvent, Clinic, IgaResult, Patient, RecordVoided, User
from reactions import recording
from reactions.models import AnaphylaxisRecord, ClinicProtocol, Infusion, Reaction, WorkItem
from reactions.vocabulary import CheckInKind
from tests.support.factories import make_infusion, make_patient, make_reaction, make_staff, suspect
from tests.support.forms import evidence_form, reaction_form

pytestmark = pytest.mark.django_db


@pytest.fixture
def record(infusion: Infusion) -> AnaphylaxisRecord:
    return suspect(infusion)


@pytest.fixture
def running(clinic: Clinic, nurse: User) -> Infusion:
    """An infusion that runs at 60 mL/h since an hour ago."""
    started_at = timezone.now().replace(second=0, microsecond=0) - timedelta(hours=1)
    infusion = make_infusion(make_patient(clinic), started_at=started_at, ended_at=None, is_chairside=True)
    infusion.rate_steps.create(at=started_at, rate_ml_per_h=60, reason="start", created_by=nurse)
    return infusion


@pytest.fixture
def suspected(running: Infusion) -> AnaphylaxisRecord:
    """Suspected half an hour ago, while the infusion runs."""
    return suspect(running)


def tap(page: Client, record: AnaphylaxisRecord, name: str, **more: Any) -> str:
    return words_of(page.post(address(record, "stamp"), {"name": name} | more, follow=True))


def moments(record: AnaphylaxisRecord) -> dict[str, Any]:
    """As they are stored."""
    return AnaphylaxisRecord.objects.get(pk=record.pk).moments


def address(record: AnaphylaxisRecord, name: str = "anaphylaxis") -> str:
    return reverse(f"reactions:{name}", args=[record.reaction_id])


def text_of(answer: Any) -> str:
    return answer.content.decode()


def words_of(answer: Any) -> str:
    """What the page says, without its tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text_of(answer)))


def test_one_tap_opens_a_reaction_and_its_page(page: Client, infusion: Infusion, nurse: User) -> None:
    tap, submission = reverse("reactions:suspect_anaphylaxis", args=[infusion.pk]), str(uuid4())
    answers = [page.post(tap, {"submission_id": submission}) for _ in range(2)]
    record = AnaphylaxisRecord.objects.get()
    assert {answer.url for answer in answers} == {address(record)}
    assert [(s.term, s.grade) for s in record.reaction.symptoms.all()] == [("infusion_related_reaction", None)]
    assert (record.created_by, record.reaction.is_serious) == (nurse, None)
    assert WorkItem.objects.get().reaction == record.reaction


@pytest.mark.parametrize("data", [{}, {"submission_id": "nonsense"}])
def test_a_tap_without_a_usable_id_is_not_refused(page: Client, infusion: Infusion, data: dict) -> None:
    page.post(reverse("reactions:suspect_anaphylaxis", args=[infusion.pk]), data)
    assert AnaphylaxisRecord.objects.count() == 1


def test_a_suspicion_is_no_verdict_before_what_was_seen_is_recorded(page: Client, record: AnaphylaxisRecord) -> None:
    sign = reverse("reactions:sign", args=[record.reaction_id])
    assert "Suspected, what was seen is not recorded yet" in words_of(page.get(sign))
    page.post(address(record), evidence_form(record))
    assert "Meets no criterion" in words_of(page.get(sign))


def test_a_second_nurse_is_led_to_the_record_that_is_open(client: Client, record: AnaphylaxisRecord) -> None:
    client.force_login(make_staff(record.patient.clinic, "second"))
    tap = reverse("reactions:suspect_anaphylaxis", args=[record.reaction.infusion_id])
    shown = words_of(client.post(tap, {"submission_id": str(uuid4())}, follow=True))
    assert "Nora Test opened this record already" in shown
    assert Reaction.objects.count() == 1
    Reaction.objects.update(resolved_at=timezone.now() - timedelta(minutes=2))
    client.post(tap, {"submission_id": str(uuid4())})
    assert Reaction.objects.count() == 2


def test_suspicion_can_be_added_to_a_reaction(page: Client, infusion: Infusion) -> None:
    reaction = make_reaction(infusion)
    opened = [page.post(reverse("reactions:open_anaphylaxis", args=[reaction.pk])) for _ in range(2)]
    assert {answer.url for answer in opened} == {address(AnaphylaxisRecord.objects.get())}
    assert page.get(reverse("reactions:anaphylaxis", args=[make_reaction(infusion).pk])).status_code == 404


def test_a_tap_keeps_its_minute_and_a_second_one_changes_nothing(page: Client, record: AnaphylaxisRecord) -> None:
    shown = tap(page, record, "ems_called_at")
    first = moments(record)["ems_called_at"]
    at = timezone.localtime(first, record.patient.clinic.zone).strftime("%H:%M")
    assert f"EMS called {at}" in shown
    assert AuditEvent.objects.get(act="anaphylaxis.stamped").by.username == "nurse"
    page.force_login(make_staff(record.patient.clinic, "second"))
    again = tap(page, record, "ems_called_at")
    assert f"EMS called is recorded already, at {at}. Nothing was changed" in again
    assert "Nora Test" in again
    assert moments(record)["ems_called_at"] == first
    assert page.post(address(record, "stamp"), {"name": "version"}).status_code == 404


def test_the_stop_ends_the_infusion_its_rate_and_its_next_visit(
    page: Client, suspected: AnaphylaxisRecord, running: Infusion
) -> None:
    shown = tap(page, suspected, "stopped_at")
    running.refresh_from_db()
    stop = running.rate_steps.get(reason="stop")
    assert (running.ended_at, stop.created_by.username) == (stop.at, "nurse")
    assert f"Infusion stopped {timezone.localtime(stop.at, running.zone):%H:%M}" in shown
    assert running.checkins.exists()
    suspected.reaction.refresh_from_db()
    assert suspected.reaction.action == "stopped_permanently"
    report = words_of(page.get(reverse("reactions:report", args=[suspected.reaction_id])))
    assert "Done to the infusion: stopped for good" in report
    assert "still running" not in report
    assert f"Stop at {timezone.localtime(stop.at, running.zone):%Y-%m-%d %H:%M}" in report
    assert "is recorded already" in tap(page, suspected, "stopped_at")
    # Correcting its time is correcting the rate step.
    assert reverse("reactions:correct_step", args=[stop.pk]) in text_of(page.get(address(suspected)))


def test_a_stop_before_the_newest_change_of_rate_is_refused_with_its_time(
    page: Client, suspected: AnaphylaxisRecord, running: Infusion, nurse: User
) -> None:
    """The tap waited without a connection, and somebody slowed the infusion meanwhile."""
    now = timezone.now()
    running.rate_steps.create(at=now - timedelta(minutes=1), rate_ml_per_h=30, reason="slow", created_by=nurse)
    tapped = now - timedelta(minutes=2)
    shown = tap(page, suspected, "stopped_at", **{"evidence-tapped_at": tapped.isoformat()})
    assert f"Infusion stopped at {timezone.localtime(tapped, running.zone):%H:%M} was not recorded" in shown
    running.refresh_from_db()
    assert (running.ended_at, running.rate_steps.count()) == (None, 2)
    # Tapped anew it stops what runs now.
    tap(page, suspected, "stopped_at")
    assert moments(suspected)["stopped_at"]


def test_a_paused_infusion_can_be_stopped_and_one_that_is_over_cannot(
    page: Client, suspected: AnaphylaxisRecord, running: Infusion, nurse: User
) -> None:
    running.rate_steps.create(
        at=running.started_at + timedelta(minutes=31), rate_ml_per_h=0, reason="pause", created_by=nurse
    )
    assert "Infusion stopped paused since" in words_of(page.get(address(suspected)))
    tap(page, suspected, "stopped_at")
    assert moments(suspected)["stopped_at"]
    over = suspect(make_infusion(make_patient(running.clinic)), at=timezone.now() - timedelta(hours=20))
    assert "was over at" in words_of(page.get(address(over)))
    assert moments(over)["stopped_at"] is None
    assert "is recorded already" in tap(page, over, "stopped_at")


def test_a_stop_of_an_infusion_without_rate_steps_is_its_end(page: Client, clinic: Clinic) -> None:
    infusion = make_infusion(make_patient(clinic), started_at=timezone.now() - timedelta(hours=1), ended_at=None)
    record = suspect(infusion)
    tap(page, record, "stopped_at")
    infusion.refresh_from_db()
    assert (infusion.ended_at, infusion.rate_steps.count()) == (moments(record)["stopped_at"], 0)
    assert reverse("reactions:correct_infusion", args=[infusion.pk]) in text_of(page.get(address(record)))


def test_adrenaline_is_a_treatment_of_the_reaction(
    page: Client, suspected: AnaphylaxisRecord, running: Infusion
) -> None:
    shown = tap(page, suspected, "adrenaline_1_at")
    dose = running.treatments.get()
    at = timezone.localtime(dose.at, running.zone).strftime("%H:%M")
    assert (dose.drug, dose.reaction, dose.at.second) == ("epinephrine", suspected.reaction, 0)
    assert f"Adrenaline 1 {at}" in shown
    assert f"Given for this reaction: {at} Epinephrine (adrenaline)" in shown
    assert f"Adrenaline 1 is recorded already, at {at}" in tap(page, suspected, "adrenaline_1_at")
    page.post(address(suspected), evidence_form(suspected, "hives", "dyspnoea"))
    report = words_of(page.get(reverse("reactions:report", args=[suspected.reaction_id])))
    assert report.count("Epinephrine (adrenaline) at") == 2
    # Its own page corrects it.
    assert reverse("reactions:correct_treatment", args=[dose.pk]) in text_of(page.get(address(suspected)))


def test_a_dose_written_down_on_the_running_page_is_the_first(
    page: Client, suspected: AnaphylaxisRecord, running: Infusion, nurse: User
) -> None:
    now = timezone.now().replace(second=0, microsecond=0)
    recording.give_treatment(
        running,
        by=nurse,
        at=now - timedelta(minutes=3),
        details={"drug": "epinephrine", "other_drug": "", "dose": "0.5 mg", "route": "IM"},
        submission_id=uuid4(),
        now=now,
    )
    assert moments(suspected)["adrenaline_1_at"] == now - timedelta(minutes=3)
    tap(page, suspected, "adrenaline_2_at")
    assert [dose.dose for dose in suspected.adrenaline] == ["0.5 mg", ""]
    # Two doses in one minute are one row.
    tapped = (now - timedelta(minutes=3)).isoformat()
    again = tap(page, suspected, "adrenaline_3_at", **{"evidence-tapped_at": tapped})
    assert "Adrenaline 3 was not recorded again: this minute has a dose already" in again
    assert running.treatments.count() == 2


def test_a_dose_of_this_minute_that_belonged_to_nothing_belongs_to_the_reaction(
    page: Client, suspected: AnaphylaxisRecord, running: Infusion, nurse: User
) -> None:
    at = timezone.now().replace(second=0, microsecond=0) - timedelta(minutes=4)
    free = running.treatments.create(at=at, drug="epinephrine", created_by=nurse)
    tap(page, suspected, "adrenaline_1_at", **{"evidence-tapped_at": at.isoformat()})
    free.refresh_from_db()
    assert (free.reaction, running.treatments.count()) == (suspected.reaction, 1)


def test_what_was_given_shortly_before_the_tap_was_given_for_it(clinic: Clinic, running: Infusion, nurse: User) -> None:
    tapped = running.started_at + timedelta(minutes=40)
    for minutes, drug in ((9, "hydration"), (10, "oxygen"), (39, "epinephrine")):
        at = running.started_at + timedelta(minutes=minutes)
        running.treatments.create(at=at, drug=drug, created_by=nurse)
    record = suspect(running, at=tapped)
    assert [given.drug for given in record.reaction.treatments.all()] == ["oxygen", "epinephrine"]


def test_taps_that_waited_come_in_the_order_in_which_they_happened(
    page: Client, suspected: AnaphylaxisRecord, running: Infusion
) -> None:
    now = timezone.now()
    second, first = ((now - timedelta(minutes=minutes)).isoformat() for minutes in (2, 9))
    tap(page, suspected, "adrenaline_2_at", **{"evidence-tapped_at": second, "also_tapped": f"adrenaline_1_at@{first}"})
    ages = [round((now - dose.at) / timedelta(minutes=1)) for dose in suspected.adrenaline]
    assert (len(ages), ages[0] > 8, ages[1] < 4) == (2, True, True)


def test_resolved_is_the_end_of_the_reaction(page: Client, suspected: AnaphylaxisRecord) -> None:
    reaction = suspected.reaction
    before = (reaction.onset_at - timedelta(minutes=5)).isoformat()
    early = tap(page, suspected, "resolved_at", **{"evidence-tapped_at": before})
    assert "cannot resolve before it began" in early
    assert moments(suspected)["resolved_at"] is None
    tap(page, suspected, "resolved_at")
    reaction.refresh_from_db()
    assert moments(suspected)["resolved_at"] == reaction.resolved_at
    versions = words_of(page.get(reverse("reactions:versions", args=[reaction.pk])))
    assert "It was said to be resolved" in versions
    first, later = reaction.resolved_at, reaction.resolved_at + timedelta(minutes=9)
    with pytest.raises(recording.AlreadyStamped):
        recording.stamp(suspected, "resolved_at", by=reaction.created_by, at=later, now=later)
    assert moments(suspected)["resolved_at"] == first


def test_what_somebody_said_was_done_stays_when_the_stop_is_tapped(page: Client, suspected: AnaphylaxisRecord) -> None:
    Reaction.objects.update(action="slowed")
    tap(page, suspected, "stopped_at")
    assert Reaction.objects.get().action == "slowed"


def test_a_tap_sent_again_after_its_reaction_was_voided_says_so(page: Client, infusion: Infusion, nurse: User) -> None:
    at, data = reverse("reactions:suspect_anaphylaxis", args=[infusion.pk]), {"submission_id": str(uuid4())}
    page.post(at, data)
    reaction = Reaction.objects.get()
    recording.void_reaction(reaction, by=nurse, reason="Mistake", seen_version=1, now=timezone.now())
    again = page.post(at, data, follow=True)
    assert again.redirect_chain == [(reverse("reactions:reaction", args=[reaction.pk]), 302)]
    assert "The reaction that this tap opened was voided" in words_of(again)
    page.post(at, {"submission_id": str(uuid4())})
    assert Reaction.objects.current().count() == 1


def test_a_tap_keeps_the_evidence_that_is_being_typed(page: Client, record: AnaphylaxisRecord) -> None:
    typed = evidence_form(record, "hives", systolic_mmhg="84")
    answer = page.post(address(record, "stamp"), typed | {"name": "ems_called_at"})
    shown = text_of(answer)
    assert "not saved yet" in shown
    assert 'value="84"' in shown
    assert re.search(r'name="evidence-hives"[^>]*checked', shown)
    record.refresh_from_db()
    assert record.ems_called_at
    assert record.evidence == {}
    form = answer.context["form"]
    again = {f"evidence-{name}": form[name].value() or "" for name in form.fields}
    saved = page.post(address(record), again | {"evidence-hives": "on", "evidence-exposure": "not_known"})
    assert saved.status_code == 302
    stamped = record.ems_called_at
    record.refresh_from_db()
    assert (record.ems_called_at, record.evidence["systolic_mmhg"]) == (stamped, 84)


@pytest.mark.parametrize("name", ["ems_called_at", "adrenaline_1_at", "resolved_at"])
def test_evidence_typed_while_a_colleague_taps_is_saved_and_the_tap_stays(
    page: Client, record: AnaphylaxisRecord, nurse: User, name: str
) -> None:
    opened = evidence_form(record, "hives", "dyspnoea")
    recording.stamp(record, name, by=nurse, at=timezone.now(), now=timezone.now())
    assert page.post(address(record), opened).status_code == 302
    assert moments(record)[name]
    record.refresh_from_db()
    assert record.criteria == ["C1", "W1"]


def test_a_moment_is_corrected_by_hand(page: Client, record: AnaphylaxisRecord, nurse: User) -> None:
    began = record.reaction.infusion.started_at
    recording.stamp(record, "ems_called_at", by=nurse, at=began + timedelta(minutes=31), now=timezone.now())
    record.refresh_from_db()
    moment = (began + timedelta(minutes=33)).astimezone(record.patient.clinic.zone)
    page.post(address(record), evidence_form(record, ems_called_at=moment.strftime("%Y-%m-%dT%H:%M")))
    record.refresh_from_db()
    assert record.ems_called_at == moment.replace(second=0, microsecond=0)
    assert AuditEvent.objects.get(act="anaphylaxis.judged").changes["ems_called_at"][0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"exposure": ""}, "Choose an answer; “Not asked” is one."),
        ({"systolic_mmhg": "0"}, "Write at least 1"),
        ({"systolic_mmhg": "301"}, "Write at most 300"),
        ({"spo2_percent": "101"}, "Write at most 100"),
        ({"spo2_percent": "x"}, "Write a whole number"),
        ({"ems_called_at": "2150-01-01T10:00"}, "lies in the future"),
        ({"ems_called_at": "1999-01-01T10:00"}, "before the infusion, which started"),
    ],
)
def test_impossible_evidence_is_refused_beside_its_field(
    page: Client, record: AnaphylaxisRecord, change: dict, said: str
) -> None:
    answer = page.post(address(record), evidence_form(record, "hives", **change))
    assert said in text_of(answer)
    assert re.search(r'name="evidence-hives"[^>]*checked', text_of(answer))
    record.refresh_from_db()
    assert not record.is_judged


def test_nobody_comes_before_being_called(page: Client, record: AnaphylaxisRecord) -> None:
    began = record.reaction.infusion.started_at.astimezone(record.patient.clinic.zone)
    later, earlier = ((began + timedelta(minutes=m)).strftime("%Y-%m-%dT%H:%M") for m in (50, 40))
    answer = page.post(address(record), evidence_form(record, ems_called_at=later, ems_arrived_at=earlier))
    assert "This lies before “EMS called”." in text_of(answer)


def test_the_verdict_names_criterion_evidence_grade_and_notes(page: Client, record: AnaphylaxisRecord) -> None:
    before = words_of(page.get(address(record)))
    assert "Nothing is compared until" in before
    shown = words_of(page.post(address(record), evidence_form(record, "hives", "wheeze"), follow=True))
    assert (
        "Meets criterion C1 of NIAID/FAAN 2006: skin or mucosa (generalised hives), with wheeze or bronchospasm"
        in shown
    )
    assert "Meets criterion W1 of WAO 2020" in shown
    assert "Brown grade: 2, moderate." in shown
    assert "No blood pressure was recorded" in shown
    assert "C2 has its signs; it also needs immune globulin to be a likely or highly probable or known" in shown


def test_no_criterion_is_said_as_such(page: Client, record: AnaphylaxisRecord) -> None:
    shown = words_of(page.post(address(record), evidence_form(record, "hives"), follow=True))
    assert "Meets no criterion of NIAID/FAAN 2006" in shown
    assert "Brown grade: 1, mild." in shown
    assert "Whether this reaction is serious is not judged yet" not in shown


@pytest.mark.parametrize("ticked", [(), ("hives", "dyspnoea", "syncope", "severe_gi")])
def test_the_page_never_speaks_of_a_diagnosis(page: Client, record: AnaphylaxisRecord, ticked: tuple) -> None:
    shown = words_of(page.post(address(record), evidence_form(record, *ticked, exposure="known"), follow=True)).lower()
    assert shown.count("diagnosis") == shown.count("not a diagnosis") == 1


def test_the_age_comes_from_the_birth_date(page: Client, clinic: Clinic) -> None:
    born = (timezone.now() - timedelta(days=25 + 365 * 4)).date()
    child = suspect(make_infusion(make_patient(clinic, birth_date=born)))
    page.post(address(child), evidence_form(child, systolic_mmhg="76", exposure="known"))
    child.refresh_from_db()
    assert 3.9 < child.evidence["age_years"] < 4.1
    # 70 + 2 × 4 = 78, where an adult's 90 would be met by far more children.
    assert "C3" in child.criteria
    assert re.search(r"Age (4 years 0|3 years 11) months, from the birth date", words_of(page.get(address(child))))
    unknown = suspect(make_infusion(make_patient(clinic, birth_date=None)))
    assert "No birth date is recorded" in words_of(page.get(address(unknown)))


def test_a_record_judged_meanwhile_answers_with_both_versions(page: Client, record: AnaphylaxisRecord) -> None:
    data = evidence_form(record, "hives", "dyspnoea")
    page.post(address(record), evidence_form(record, "itch"))
    stale = page.post(address(record), data)
    assert stale.status_code == 409
    assert "Nothing of yours was saved" in text_of(stale)
    assert "Meets no criterion" in words_of(stale)
    # Both versions, box by box.
    for row in ("Generalised itch yes no", "Generalised hives no yes", "Dyspnoea no yes"):
        assert row in words_of(stale), row
    assert re.search(r'name="evidence-dyspnoea"[^>]*checked', text_of(stale))
    form = stale.context["form"]
    assert page.post(address(record), data | {"evidence-seen_version": form["seen_version"].value()}).status_code == 302


def test_two_corrections_of_one_moment_do_not_overwrite_each_other(
    page: Client, record: AnaphylaxisRecord, nurse: User
) -> None:
    began = record.reaction.infusion.started_at
    typed = (began + timedelta(minutes=40)).astimezone(record.patient.clinic.zone).strftime("%Y-%m-%dT%H:%M")
    data = evidence_form(record, ems_called_at=typed)
    recording.stamp(record, "ems_called_at", by=nurse, at=began + timedelta(minutes=31), now=timezone.now())
    stale = page.post(address(record), data)
    assert stale.status_code == 409
    record.refresh_from_db()
    assert (record.ems_called_at, record.version) == (
        (began + timedelta(minutes=31)).replace(second=0, microsecond=0),
        1,
    )


def test_the_page_of_the_infusion_leads_back_to_a_suspicion_that_is_over(
    page: Client, suspected: AnaphylaxisRecord, running: Infusion
) -> None:
    tap(page, suspected, "resolved_at")
    assert address(suspected) in text_of(page.get(reverse("reactions:running", args=[running.pk])))


def test_criteria_met_ask_the_patient_the_same_evening(
    page: Client, suspected: AnaphylaxisRecord, running: Infusion, nurse: User
) -> None:
    def evening() -> str:
        return str(running.checkins.get(kind=CheckInKind.EVENING).state)

    page.post(address(suspected), evidence_form(suspected, "hives", "dyspnoea"))
    assert evening() == "planned"
    suspected.refresh_from_db()
    page.post(address(suspected), evidence_form(suspected, dyspnoea=""))
    assert evening() == "cancelled"
    suspected.refresh_from_db()
    page.post(address(suspected), evidence_form(suspected, "hives", "dyspnoea"))
    assert evening() == "planned"
    reaction = Reaction.objects.get()
    recording.void_reaction(
        reaction, by=nurse, reason="Another patient", seen_version=reaction.version, now=timezone.now()
    )
    assert evening() == "cancelled"


def test_criteria_met_ask_whether_it_is_serious(page: Client, record: AnaphylaxisRecord) -> None:
    page.post(address(record), evidence_form(record, "hives", "dyspnoea"))
    shown = text_of(page.get(address(record)))
    section = shown[shown.index('id="is-serious"') : shown.index('id="criteria"')]
    assert "checked" not in section
    judge, seen = address(record, "judge_seriousness"), {"seen_version": "2"}
    blank = page.post(judge, seen)
    assert "Tick what is met, or “None of these”." in text_of(blank)
    both = page.post(judge, seen | {"criteria": ["hospitalisation"], "none_of_these": "on"})
    assert "Untick one or the other." in text_of(both)
    record.reaction.refresh_from_db()
    assert record.reaction.is_serious is None
    assert page.post(judge, seen | {"criteria": ["hospitalisation", "life_threatening"]}).status_code == 302
    record.reaction.refresh_from_db()
    assert (record.reaction.is_serious, record.reaction.version) == (True, 3)
    assert set(record.reaction.serious_criteria) == {"hospitalisation", "life_threatening"}
    assert 'id="is-serious"' not in text_of(page.get(address(record)))
    assert AuditEvent.objects.filter(act="reaction.seriousness_judged", entity_id=record.reaction_id).exists()


def test_seriousness_judged_meanwhile_is_not_overwritten(page: Client, record: AnaphylaxisRecord, nurse: User) -> None:
    page.post(address(record), evidence_form(record, "hives", "dyspnoea"))
    mine, judge = {"none_of_these": "on", "seen_version": "2"}, address(record, "judge_seriousness")
    page.post(judge, {"criteria": ["hospitalisation"], "seen_version": "2"})
    stale = page.post(judge, mine)
    assert stale.status_code == 409
    assert "Stored now: serious, yes: " in words_of(stale)
    record.reaction.refresh_from_db()
    assert record.reaction.is_serious is True
    version = stale.context["seriousness"]["seen_version"].value()
    assert page.post(judge, mine | {"seen_version": version}).status_code == 302


def test_the_clinics_own_protocol_is_shown_word_for_word(page: Client, record: AnaphylaxisRecord) -> None:
    missing = words_of(page.get(address(record)))
    assert "has recorded none here. An administrator of the clinic can add its text" in missing
    ClinicProtocol.objects.create(clinic=record.patient.clinic, anaphylaxis_text="Call 4711.\nSynthetic <b>words</b>.")
    shown = text_of(page.get(address(record)))
    assert "Call 4711.<br>Synthetic &lt;b&gt;words&lt;/b&gt;." in shown


def test_vital_signs_stand_beside_the_fields(page: Client, record: AnaphylaxisRecord, infusion: Infusion) -> None:
    for minutes, systolic, spo2 in ((0, 124, 98), (20, 120, 98), (32, 84, 90), (50, 96, 95)):
        at = infusion.started_at + timedelta(minutes=minutes)
        values = {"systolic_mmhg": systolic, "diastolic_mmhg": 50, "spo2_percent": spo2}
        infusion.vitals.create(at=at, created_by=infusion.created_by, **values)
    said = page.get(address(record)).context["measured"]
    assert {name: words.split(" at ")[0] for name, words in said.items()} == {
        "baseline_systolic_mmhg": "120",
        "systolic_mmhg": "84",
        "spo2_percent": "90",
    }


def lot(infusion: Infusion, name: str) -> Infusion:
    infusion.vials.create(lot=name, grams=10)
    return infusion


def test_other_patients_with_the_same_lot_are_listed(
    page: Client, record: AnaphylaxisRecord, clinic: Clinic, other_clinic: Clinic, infusion: Infusion
) -> None:
    lot(lot(infusion, "SYN-A"), "SYN-B")
    ago = infusion.started_at
    same = lot(make_infusion(make_patient(clinic, family_name="Same"), started_at=ago - timedelta(days=3)), "syn-a")
    make_reaction(same, {"urticaria": 3})
    for name, change in {
        "Otherlot": {"lot": "SYN-C"},
        "Longago": {"days": 91},
        "Otherproduct": {"product": "Panzyga"},
        "Otherclinic": {"clinic": other_clinic},
    }.items():
        fields: dict[str, Any] = {"started_at": ago - timedelta(days=change.get("days", 5))}
        if "product" in change:
            fields["product"] = type(infusion.product).objects.get(name=change["product"])
        one = make_infusion(make_patient(change.get("clinic", clinic), family_name=name), **fields)
        lot(one, change.get("lot", "SYN-A"))
    lot(make_infusion(infusion.patient, started_at=ago - timedelta(days=6)), "SYN-A")
    shown = text_of(page.get(address(record)))
    section = shown[shown.index("Other patients with the same lot") :]
    assert "Tessa Same" in section
    assert "Urticaria, grade 3" in section
    for absent in ("Otherlot", "Longago", "Otherproduct", "Otherclinic", "Tessa Synthetic,"):
        assert absent not in section, absent


def test_the_page_asks_the_same_queries_however_many_got_the_lot(
    page: Client,
    record: AnaphylaxisRecord,
    clinic: Clinic,
    infusion: Infusion,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    lot(infusion, "SYN-A")

    def add(count: int) -> None:
        for _ in range(count):
            make_reaction(lot(make_infusion(make_patient(clinic)), "SYN-A"))

    add(1)
    with django_assert_max_num_queries(40) as one:
        page.get(address(record))
    add(5)
    with django_assert_max_num_queries(len(one)):
        page.get(address(record))


def test_no_lots_are_said_as_such(page: Client, record: AnaphylaxisRecord) -> None:
    assert "No lots are recorded for this infusion" in words_of(page.get(address(record)))


def test_the_patients_page_says_that_criteria_were_met(
    page: Client, record: AnaphylaxisRecord, patient: Patient, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    at = reverse("reactions:patient", args=[patient.pk])
    assert "Meets published criteria" not in text_of(page.get(at))
    page.post(address(record), evidence_form(record, "hives", "dyspnoea"))
    day = timezone.localtime(record.reaction.onset_at, patient.clinic.zone).strftime("%Y-%m-%d")
    with django_assert_max_num_queries(40) as one:
        answer = page.get(at)
    shown, html = words_of(answer), answer.content.decode()
    assert f"Meets published criteria of anaphylaxis (C1, W1) on {day}. The safety card says so" in shown
    assert "Criteria of anaphylaxis met: C1, W1" in shown
    assert f'href="{at}#reactions"' in html
    assert 'id="reactions"' in html
    queries = len(one)
    again = suspect(make_infusion(patient, started_at=timezone.now() - timedelta(days=40)))
    page.post(address(again), evidence_form(again, "hives", "dyspnoea"))
    with django_assert_max_num_queries(queries):
        assert text_of(page.get(at)).count("Meets published criteria") == 2
    for one_of_them in (record, again):
        void = reverse("reactions:void_reaction", args=[one_of_them.reaction_id])
        page.post(void, {"seen_version": "2", "reason": "Mistake"})
    assert "Meets published criteria" not in text_of(page.get(at))


def test_a_void_record_is_shown_and_takes_nothing_more(page: Client, record: AnaphylaxisRecord) -> None:
    page.post(reverse("reactions:void_reaction", args=[record.reaction_id]), {"seen_version": "1", "reason": "Mistake"})
    shown = text_of(page.get(address(record)))
    assert "This record is void" in shown
    assert 'value="ems_called_at"' not in shown
    assert page.post(address(record), evidence_form(record, "hives")).status_code == 404
    assert page.post(address(record, "stamp"), {"name": "ems_called_at"}).status_code == 404


def take_back(page: Client, record: AnaphylaxisRecord, seen_version: int = 1) -> Any:
    data = {"seen_version": seen_version, "reason": "Tapped on the wrong tablet"}
    return page.post(address(record, "void_anaphylaxis"), data, follow=True)


def test_a_suspicion_can_be_taken_back_and_what_was_done_stays(
    page: Client, suspected: AnaphylaxisRecord, running: Infusion
) -> None:
    for name in ("adrenaline_1_at", "stopped_at", "ems_called_at"):
        tap(page, suspected, name)
    assert address(suspected, "void_anaphylaxis") in text_of(page.get(address(suspected)))
    asked = words_of(page.get(address(suspected, "void_anaphylaxis")))
    assert "the drugs given for it and the stop of the infusion stay as they are" in asked
    told = words_of(take_back(page, suspected))
    assert "The suspicion of anaphylaxis is taken back. The reaction stays" in told
    assert "took that back" in told
    assert "“Tapped on the wrong tablet”" in told
    running.refresh_from_db()
    assert running.ended_at
    assert [row.drug for row in suspected.reaction.treatments.current()] == ["epinephrine"]
    assert not Reaction.objects.get().is_void
    stored = AnaphylaxisRecord.objects.get()
    event = AuditEvent.objects.get(act="anaphylaxis.voided")
    assert (event.entity_id, event.by.username, event.reason) == (stored.pk, "nurse", "Tapped on the wrong tablet")
    assert event.changes == {"ems_called_at": [str(stored.ems_called_at), None]}
    # It is readable as it was, and takes nothing more.
    shown = text_of(page.get(address(suspected)))
    assert "The suspicion was taken back by Nora Test" in words_of(page.get(address(suspected)))
    assert 'value="ems_arrived_at"' not in shown
    assert page.post(address(suspected), evidence_form(suspected, "hives")).status_code == 404
    assert page.post(address(suspected, "stamp"), {"name": "ems_arrived_at"}).status_code == 404
    assert page.get(address(suspected, "void_anaphylaxis")).status_code == 404


def test_taking_a_suspicion_back_asks_why(page: Client, record: AnaphylaxisRecord) -> None:
    answer = page.post(address(record, "void_anaphylaxis"), {"seen_version": "1", "reason": ""})
    assert "Why is this record void?" in text_of(answer)
    assert not AnaphylaxisRecord.objects.get().is_void


def test_a_suspicion_judged_meanwhile_is_not_taken_back_unseen(page: Client, record: AnaphylaxisRecord) -> None:
    page.post(address(record), evidence_form(record, "hives", "dyspnoea"))
    assert "This record was changed in the meantime" in text_of(take_back(page, record, seen_version=1))
    assert not AnaphylaxisRecord.objects.get().is_void


def test_evidence_of_a_suspicion_taken_back_counts_nowhere(
    page: Client, record: AnaphylaxisRecord, patient: Patient
) -> None:
    page.post(address(record), evidence_form(record, "hives", "dyspnoea"))
    assert WorkItem.objects.open().exists()
    patients_page = reverse("reactions:patient", args=[patient.pk])
    next_card = reverse("reactions:record_infusion", args=[patient.pk])
    for at in (patients_page, next_card):
        assert "anaphylaxis met: C1, W1" in words_of(page.get(at)), at
    take_back(page, record, seen_version=2)
    for at in (patients_page, next_card):
        shown = words_of(page.get(at))
        assert "anaphylaxis met" not in shown, at
        assert "Meets published criteria" not in shown, at
    for name in ("reaction", "report", "sign"):
        assert "Meets" not in words_of(page.get(address(record, name))), name
    assert WorkItem.objects.get().closed_because == "The suspicion of anaphylaxis was taken back."
    assert "Meets criterion C1 of NIAID/FAAN 2006" in words_of(page.get(address(record)))


def test_what_is_serious_stays_on_the_worklist_without_the_suspicion(page: Client, record: AnaphylaxisRecord) -> None:
    page.post(address(record), evidence_form(record, "hives", "dyspnoea"))
    page.post(address(record, "judge_seriousness"), {"criteria": ["hospitalisation"], "seen_version": "2"})
    take_back(page, record, seen_version=2)
    shown = words_of(page.get(reverse("reactions:worklist")))
    assert "Serious Tessa Synthetic" in shown
    assert "of anaphylaxis" not in shown


def test_a_reaction_is_another_version_once_the_suspicion_is_taken_back(
    page: Client, record: AnaphylaxisRecord
) -> None:
    page.post(address(record), evidence_form(record, "hives", "dyspnoea"))
    take_back(page, record, seen_version=2)
    assert Reaction.objects.get().version == 3
    shown = words_of(page.get(address(record, "versions")))
    assert "The suspicion of anaphylaxis was taken back" in shown
    versions = page.get(address(record, "versions")).context["versions"]
    assert [(one.number, one.state["anaphylaxis.criteria"]) for one in versions] == [
        (3, None),
        (2, ["C1", "W1"]),
        (1, []),
    ]


def test_suspected_again_the_record_begins_anew_and_its_history_keeps_the_rest(
    page: Client, record: AnaphylaxisRecord, nurse: User
) -> None:
    tap(page, record, "ems_called_at")
    record.refresh_from_db()
    page.post(address(record), evidence_form(record, "hives", "dyspnoea"))
    opened_before = evidence_form(record, "itch")
    take_back(page, record, seen_version=2)
    second = make_staff(record.patient.clinic, "second")
    page.force_login(second)
    opened = page.post(address(record, "open_anaphylaxis"), follow=True)
    assert "Nothing is compared until" in words_of(opened)
    anew = AnaphylaxisRecord.objects.get()
    assert not anew.is_void
    assert not anew.is_judged
    assert (anew.evidence, anew.criteria, anew.brown_grade, anew.ems_called_at) == ({}, [], None, None)
    assert (anew.created_by, anew.void_reason) == (second, "")
    assert WorkItem.objects.open().filter(reaction=record.reaction).exists()
    changes = AuditEvent.objects.get(act="anaphylaxis.voided").changes
    assert changes["criteria"] == [["C1", "W1"], None]
    assert changes["evidence"][0]["hives"] is True
    assert changes["ems_called_at"][0]
    # A form that was open since before says what became of the record, and saves nothing over it.
    assert page.post(address(record), opened_before).status_code == 409
    versions = page.get(address(record, "versions")).context["versions"]
    assert [(one.number, one.state["anaphylaxis.criteria"]) for one in versions] == [
        (3, []),
        (2, ["C1", "W1"]),
        (1, []),
    ]


def test_a_tap_sent_again_after_its_suspicion_was_taken_back_opens_nothing(page: Client, infusion: Infusion) -> None:
    at, data = reverse("reactions:suspect_anaphylaxis", args=[infusion.pk]), {"submission_id": str(uuid4())}
    page.post(at, data)
    take_back(page, AnaphylaxisRecord.objects.get())
    assert "the suspicion was taken back. To open another one, tap once more" in words_of(
        page.post(at, data, follow=True)
    )
    assert not AnaphylaxisRecord.objects.current().exists()
    page.post(at, {"submission_id": str(uuid4())})
    assert AnaphylaxisRecord.objects.current().count() == 1


def test_a_tap_that_meets_a_suspicion_taken_back_is_no_fault(record: AnaphylaxisRecord, nurse: User) -> None:
    now = timezone.now()
    recording.void_anaphylaxis(record, by=nurse, reason="Mistake", seen_version=1, now=now)
    with pytest.raises(RecordVoided):
        recording.stamp(record, "ems_called_at", by=nurse, at=now, now=now)


def test_counting_up_is_no_verdict(page: Client, record: AnaphylaxisRecord, infusion: Infusion) -> None:
    """Whatever else changes a record: nothing is compared before somebody wrote down what was seen."""
    AnaphylaxisRecord.objects.update(version=5)
    assert "Nothing is compared until" in words_of(page.get(address(record)))
    record.refresh_from_db()
    page.post(address(record), evidence_form(record))
    assert "Meets no criterion of NIAID/FAAN 2006" in words_of(page.get(address(record)))


def test_the_draft_report_holds_the_facts_and_no_name(page: Client, patient: Patient) -> None:
    two_days_ago = timezone.now().replace(second=0, microsecond=0) - timedelta(days=2)
    infusion = make_infusion(patient, started_at=two_days_ago)
    infusion.vials.create(lot="SYN-77", grams=30)
    make = reverse("reactions:record_reaction", args=[infusion.pk])
    zone = patient.clinic.zone

    def clock(minutes: int) -> str:
        return (infusion.started_at + timedelta(minutes=minutes)).astimezone(zone).strftime("%Y-%m-%dT%H:%M")

    page.post(
        make,
        reaction_form(
            narrative="Synthetic story.",
            none_of_these="",
            criteria=["important_event"],
            resolved_at=clock(90),
            **{"symptoms-0-onset_at": clock(40), "symptoms-1-onset_at": clock(50), "treatments-0-at": clock(50)},
        ),
    )
    reaction = Reaction.objects.get()
    shown = words_of(page.get(reverse("reactions:report", args=[reaction.pk])))
    for fact in (
        "It is never sent by itself",
        "Privigen",
        "SYN-77",
        "Yes: Other important medical event",
        "Began 40 min after the start, during the infusion. Chills, grade 2 (CTCAE v5.0)",
        "Diphenhydramine 25 mg",
        "Synthetic story.",
        "Recovered",
        "It improved".lower(),
        "Cause, as judged Not judged yet",
        "Nora Test",
    ):
        assert fact in shown, fact
    assert "Tessa" not in shown
    assert patient.mrn not in shown


def test_the_draft_report_tells_what_had_run_and_what_was_there_before(
    page: Client, running: Infusion, nurse: User
) -> None:
    day = running.started_at.astimezone(running.zone).date()
    IgaResult.objects.create(
        patient=running.patient, measured_on=day, in_force_from=day, value=341, status="normal", created_by=nurse
    )
    reaction, began = make_reaction(running, minutes=30), running.started_at
    for minutes, drug in ((29, "ondansetron"), (30, "oxygen")):
        at = began + timedelta(minutes=minutes)
        running.treatments.create(at=at, drug=drug, reaction=reaction, created_by=nurse)
    ended = began + timedelta(minutes=35)
    running.rate_steps.create(at=ended, rate_ml_per_h=0, reason="stop", created_by=nurse)
    Infusion.objects.update(ended_at=ended)
    shown = words_of(page.get(reverse("reactions:report", args=[reaction.pk])))
    assert "Normal: IgA" not in shown
    assert "IgA at the time Normal: 341 mg/dL" in shown
    # 35 min at 60 mL/h, of 30 g in a solution of 10 %.
    assert "Given of it 35 mL (12 %)" in shown
    assert re.search(r"Ondansetron at \S+ \S+ \(before the reaction began\); Oxygen at \S+ \S+\.? ", shown)
    page_shown = words_of(page.get(reverse("reactions:reaction", args=[reaction.pk])))
    assert "Given for the reaction, and yet before it began: Ondansetron at" in page_shown
    assert "Oxygen at" not in page_shown.split("and yet before it began")[1].split("Check the times")[0]


def test_the_draft_report_tells_times_and_criteria_of_anaphylaxis(page: Client, record: AnaphylaxisRecord) -> None:
    tap(page, record, "adrenaline_1_at")
    page.post(address(record), evidence_form(record, "hives", "dyspnoea"))
    shown = words_of(page.get(reverse("reactions:report", args=[record.reaction_id])))
    assert "; Adrenaline 1 " in shown
    assert "Meets criterion C1 of NIAID/FAAN 2006" in shown
