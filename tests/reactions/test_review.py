"""The review of what patients report: the queue, and a report accepted, merged or rejected."""

import re
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from patients.models import AuditEvent, Clinic, Patient, RecordVoided, User
from patients.models.record import NeverDeleted
from reactions import recording
from reactions.models import Answer, Infusion, Reaction, Report, ReviewDecision
from reactions.recording import acknowledge_alert, submit_answer
from reactions.vocabulary import CheckInKind, RejectReason, ReviewVerdict
from reactions.words import answer_changes
from tests.support.at_once import at_once
from tests.support.factories import make_checkins, make_infusion, make_patient, make_reaction
from tests.support.forms import management, reaction_form
from tests.support.sent_forms import forms_of

pytestmark = pytest.mark.django_db

QUEUE = "/worklist/reports/"
HEADACHE = {"headache": "severe", "fever": "mild"}


def words_of(answer: Any) -> str:
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))
    return text.replace("&#x27;", "'").replace(" ,", ",")


def tell(infusion: Infusion, symptoms: dict[str, str] | None = None, **details: Any) -> Answer:
    """A problem, told through the first check-in; `symptoms` empty means that there is none any more."""
    if not infusion.checkins.exists():
        make_checkins(infusion)
    symptoms = HEADACHE if symptoms is None else symptoms
    checkin = infusion.checkins.get(kind=CheckInKind.HOURS_24)
    return submit_answer(checkin, has_problem=bool(symptoms), details=details, symptoms=symptoms, now=timezone.now())


def report_of(answer: Answer) -> Report:
    return Report.objects.get(pk=answer.checkin_id)


def address(name: str, answer: Answer) -> str:
    return reverse(f"reactions:{name}", args=[answer.checkin_id])


def sent(page: Client, answer: Answer, name: str, **changes: Any) -> dict[str, Any]:
    """What the form of the report's page sends, with `changes`, named without the form's prefix."""
    shown = page.get(address("review", answer)).content.decode()
    form = next(one for one in forms_of(shown, "/") if one.action == address(f"{name}_report", answer))
    return form.data | {f"{name}-{field}": value for field, value in changes.items()}


def reject(page: Client, answer: Answer, **changes: Any) -> Any:
    data = sent(page, answer, "reject", **({"reason": "not_related"} | changes))
    return page.post(address("reject_report", answer), data, follow=True)


def accepting(page: Client, answer: Answer, **changes: Any) -> dict[str, Any]:
    """A filled form of a reaction as the page to accept the report shows it, with the patient's beginning."""
    shown = page.get(address("accept_report", answer)).content.decode()
    form = next(one for one in forms_of(shown, address("accept_report", answer)))
    hidden = {name: values[0] for name, values in form.data.items() if "seen" in name or name == "submission_id"}
    began = timezone.localtime(answer.checkin.infusion.ended_at, answer.checkin.patient.zone)
    filled = reaction_form(
        **management("treatments", 0),
        **management("symptoms", 1),
        **{"symptoms-0-term": "headache", "symptoms-0-onset_at": began.strftime("%Y-%m-%dT%H:%M")},
        resolved_at="",
        outcome="recovering",
        action="infusion_already_over",
    )
    kept = {name: value for name, value in filled.items() if not re.match(r"(symptoms-1|treatments-0)-", name)}
    return kept | hidden | changes


def test_a_report_waits_until_somebody_decides(page: Client, infusion: Infusion) -> None:
    assert "Nothing is waiting." in words_of(page.get(QUEUE))
    answer = tell(infusion, comment="Dröhnt sehr")
    shown = words_of(page.get(QUEUE))
    assert "Tessa Synthetic: Headache: severe; Fever, 100.4 °F (38.0 °C) or more: mild" in shown
    assert "Dröhnt sehr" in shown
    assert "Reports 1 open" in shown
    assert "Worklist 1 open" in words_of(page.get(reverse("patients:list")))
    assert "The decision is stored." in words_of(reject(page, answer, words="Migraine, known for years"))
    assert "Nothing is waiting." in words_of(page.get(QUEUE))
    decision = ReviewDecision.objects.get()
    assert (decision.answer, decision.verdict, decision.reject_reason) == (answer, "rejected", "not_related")
    assert (decision.decided_by.username, decision.words) == ("nurse", "Migraine, known for years")
    event = AuditEvent.objects.get(act="report.rejected")
    assert (event.patient_id, event.reason) == (infusion.patient_id, decision.words)
    assert "Another cause, not the infusion" in words_of(page.get(address("checkin", answer))).replace(
        "another cause", "Another cause"
    )


def test_no_problem_is_no_report(page: Client, infusion: Infusion) -> None:
    answer = tell(infusion, {})
    assert "Nothing is waiting." in words_of(page.get(QUEUE))
    assert page.get(address("review", answer)).status_code == 404


def test_the_report_shows_what_is_known(page: Client, infusion: Infusion, nurse: User) -> None:
    other = make_infusion(infusion.patient, ended_at=timezone.now() - timedelta(days=1, hours=3))
    reject(page, tell(other, {"itch": "mild"}), reason="known_before")
    make_reaction(infusion, {"chills": 2})
    answer = tell(infusion, comment="Hello <b>you</b>", language="es", care_sought="called", still_there=True)
    acknowledge_alert(answer.alert, by=nurse, what_was_done="Called at 14:10", now=timezone.now())
    shown = words_of(page.get(address("review", answer)))
    for told in (
        "Headache: Severe: I could not do my daily things",
        "by the patient, in español",
        "graded by the patient, not by a clinician",
        "Hello &lt;b&gt;you&lt;/b&gt;",
        "Called the clinic or a doctor",
        "Called at 14:10",
        "Chills, grade 2",
        "Itching: mild",
        "Not a reaction to the infusion: known before the infusion, and no worse",
        "Privigen",
    ):
        assert told in shown, told


def test_accepting_opens_a_form_with_what_can_be_carried_over_and_no_grade(page: Client, infusion: Infusion) -> None:
    began = (infusion.ended_at + timedelta(hours=3)).replace(second=0, microsecond=0)
    answer = tell(infusion, {"headache": "severe", "rash": "mild"}, began_at=began, comment="Throbs")
    shown = page.get(address("accept_report", answer)).content.decode()
    form = forms_of(shown, address("accept_report", answer))[0]
    assert form.data["symptoms-0-term"] == ["headache"]
    assert form.data["symptoms-0-grade"] in ([""], [])
    clock = began.astimezone(infusion.patient.zone).strftime("%Y-%m-%dT%H:%M")
    assert form.data["symptoms-0-onset_at"] == [clock]
    assert "rash" not in " ".join(form.data["symptoms-0-term"])
    narrative = form.data["narrative"][0]
    assert narrative.startswith("Patient report of ")
    assert "Headache: severe" in narrative
    assert "“Throbs”" in narrative
    refused = page.post(address("accept_report", answer), form.data)
    assert "Choose the grade." in refused.content.decode()
    assert not Reaction.objects.exists()


def test_an_accepted_report_is_a_reaction_of_its_own_source(page: Client, infusion: Infusion) -> None:
    seen = make_reaction(infusion, {"chills": 2})
    answer = tell(infusion)
    address_of = address("accept_report", answer)
    data = accepting(page, answer, narrative="Patient report: headache. Called, came in.")
    answered = page.post(address_of, data, follow=True)
    reaction = Reaction.objects.exclude(pk=seen.pk).get()
    assert answered.redirect_chain[-1][0] == reverse("reactions:reaction", args=[reaction.pk])
    assert "Patient-reported, confirmed" in words_of(answered)
    assert reaction.narrative == "Patient report: headache. Called, came in."
    assert [(row.term, row.grade) for row in reaction.symptoms.all()] == [("headache", 2)]
    assert list(Reaction.objects.patient_confirmed_only()) == [reaction]
    assert "Nothing is waiting." in words_of(page.get(QUEUE))
    # What the patient graded stays as it was.
    assert dict(answer.symptoms.values_list("symptom", "severity")) == HEADACHE
    # Sent twice, it is one reaction and one decision; sent again with other words, neither changes.
    assert page.post(address_of, data).status_code == 302
    again = page.post(address_of, data | {"narrative": "Otherwise"})
    assert "This form was saved already" in words_of(again)
    assert (Reaction.objects.count(), ReviewDecision.objects.count()) == (2, 1)


def test_merging_links_and_overwrites_nothing(page: Client, infusion: Infusion) -> None:
    reaction = make_reaction(infusion, {"headache": 1}, narrative="Seen at the chair")
    before = Reaction.objects.values().get()
    answer = tell(infusion)
    data = sent(page, answer, "merge", reaction=str(reaction.pk), words="The same headache")
    for _ in range(2):
        assert page.post(address("merge_report", answer), data).status_code == 302
    assert Reaction.objects.values().get() == before
    assert ReviewDecision.objects.get().verdict == ReviewVerdict.MERGED
    shown = words_of(page.get(reverse("reactions:reaction", args=[reaction.pk])))
    assert "Also reported by the patient" in shown
    assert "The same headache" in shown
    assert "Headache: severe" in shown
    assert not Reaction.objects.patient_confirmed_only().exists()
    assert "Belongs to a reaction that is recorded" in words_of(page.get(address("checkin", answer)))


def test_a_reaction_of_another_course_or_a_void_one_is_not_offered(
    page: Client, infusion: Infusion, nurse: User
) -> None:
    elsewhere = make_reaction(make_infusion(infusion.patient), {"fever": 3})
    void = make_reaction(infusion, {"chills": 1})
    recording.void_reaction(void, by=nurse, reason="Mistake", seen_version=1, now=timezone.now())
    kept = make_reaction(infusion, {"nausea": 1})
    answer = tell(infusion)
    data = sent(page, answer, "merge", reaction=str(kept.pk))
    for other in (elsewhere, void):
        refused = page.post(address("merge_report", answer), data | {"merge-reaction": str(other.pk)})
        assert "Select a valid choice" in words_of(refused)
    assert not ReviewDecision.objects.exists()


def test_a_reason_in_words_is_asked_for(page: Client, infusion: Infusion) -> None:
    answer = tell(infusion)
    assert "Choose an answer." in words_of(reject(page, answer, reason=""))
    shown = reject(page, answer, reason="other", words="")
    assert "Write the reason in your words." in words_of(shown)
    assert not ReviewDecision.objects.exists()


def test_an_amended_answer_comes_back_with_what_changed(page: Client, infusion: Infusion) -> None:
    answer = tell(infusion)
    reject(page, answer)
    tell(infusion, {"headache": "mild", "rash": "severe"}, still_there=True)
    for shown in (words_of(page.get(QUEUE)), words_of(page.get(address("review", answer)))):
        assert "The patient has answered again since it was decided." in shown
        assert re.search(r"Headache:? severe → mild", shown)
        assert re.search(r"Rash or hives:? not said → severe", shown)
        assert re.search(r"Fever, 100.4 °F \(38.0 °C\) or more:? mild → not said", shown)
    assert "Of an earlier answer" in words_of(page.get(address("review", answer)))


def test_every_answer_is_read_where_it_is_decided_about(page: Client, infusion: Infusion) -> None:
    tell(infusion, comment="It woke me up.")
    tell(infusion, {})
    answer = tell(infusion, {"chest_pain": "not_said"})
    text = words_of(page.get(address("review", answer)))
    assert text.count("Earlier answer") == 2
    for words in ("Headache: Severe", "It woke me up.", ": Mild", "No new or worse problem"):
        assert words in text


def test_a_problem_taken_back_still_waits(page: Client, infusion: Infusion) -> None:
    tell(infusion)
    answer = tell(infusion, {})
    shown = words_of(page.get(QUEUE))
    assert "Tessa Synthetic: No problem any more" in shown
    assert "New or worse problem: yes → no" in shown
    reject(page, answer, reason="taken_back")
    assert "Nothing is waiting." in words_of(page.get(QUEUE))


def test_what_is_decided_is_the_version_that_was_read(page: Client, infusion: Infusion) -> None:
    reaction = make_reaction(infusion, {"headache": 1})
    answer = tell(infusion)
    data = {
        "reject": sent(page, answer, "reject", reason="not_related", words="Typed before"),
        "merge": sent(page, answer, "merge", reaction=str(reaction.pk)),
        "accept": accepting(page, answer),
    }
    tell(infusion, {"chest_pain": "mild"})
    for name, form in data.items():
        stale = page.post(address(f"{name}_report", answer), form)
        assert stale.status_code == 409, name
        assert "The patient has answered again since." in words_of(stale)
        assert "Chest pain" in words_of(stale)
    assert (ReviewDecision.objects.count(), Reaction.objects.count()) == (0, 1)
    stale = page.post(address("reject_report", answer), data["reject"])
    again = next(one for one in forms_of(stale.content.decode(), "/") if "reject" in one.action).data
    assert again["reject-words"] == ["Typed before"]
    assert page.post(address("reject_report", answer), again).status_code == 302
    assert ReviewDecision.objects.get().answer.version == 2


def test_of_two_who_decide_one_is_told(page: Client, infusion: Infusion) -> None:
    answer = tell(infusion)
    mine = sent(page, answer, "reject", reason="not_related")
    theirs = sent(page, answer, "reject", reason="misunderstanding")
    assert page.post(address("reject_report", answer), theirs).status_code == 302
    late = page.post(address("reject_report", answer), mine)
    assert late.status_code == 409
    assert "Somebody else has decided meanwhile." in words_of(late)
    assert "misunderstood the question" in words_of(late)
    assert ReviewDecision.objects.count() == 1


def test_a_decision_is_revised_with_a_reason_and_the_earlier_stays(page: Client, infusion: Infusion) -> None:
    reaction = make_reaction(infusion, {"headache": 1})
    answer = tell(infusion)
    data = sent(page, answer, "merge", reaction=str(reaction.pk))
    page.post(address("merge_report", answer), data)
    without = reject(page, answer, words="")
    assert "Write why the decision is changed." in words_of(without)
    assert ReviewDecision.objects.count() == 1
    reject(page, answer, words="Looked again: a cold")
    assert [row.verdict for row in ReviewDecision.objects.order_by("version")] == ["merged", "rejected"]
    shown = words_of(page.get(address("review", answer)))
    assert re.search(r"In force Not a reaction.*Looked again: a cold.*Earlier Belongs to a reaction", shown)
    assert "Also reported" not in words_of(page.get(reverse("reactions:reaction", args=[reaction.pk])))
    assert "still stands and is counted" not in shown
    # And into a reaction of its own, with the reason beside the form.
    refused = page.post(address("accept_report", answer), accepting(page, answer, **{"review-words": ""}))
    assert "Write why the decision is changed." in words_of(refused)
    page.post(address("accept_report", answer), accepting(page, answer, **{"review-words": "A headache after all"}))
    assert ReviewDecision.objects.standing().get().words == "A headache after all"
    assert Reaction.objects.patient_confirmed_only().count() == 1
    # What was recorded is not voided by a revision: a person is told, and does it.
    reject(page, answer, words="No headache")
    assert "still stands and is counted" in words_of(page.get(address("review", answer)))
    made = Reaction.objects.patient_confirmed_only().get()
    page.post(reverse("reactions:void_reaction", args=[made.pk]), {"seen_version": "1", "reason": "There was none"})
    assert "still stands and is counted" not in words_of(page.get(address("review", answer)))
    assert not Reaction.objects.patient_confirmed_only().counted().exists()


def test_decisions_are_never_changed(page: Client, infusion: Infusion) -> None:
    reject(page, tell(infusion))
    with pytest.raises(NeverDeleted):
        ReviewDecision.objects.update(words="x")
    with pytest.raises(NeverDeleted):
        ReviewDecision.objects.get().save()


def test_a_report_whose_reaction_is_voided_comes_back(page: Client, infusion: Infusion, nurse: User) -> None:
    answer = tell(infusion)
    page.post(address("accept_report", answer), accepting(page, answer))
    recording.void_reaction(Reaction.objects.get(), by=nurse, reason="Twice", seen_version=1, now=timezone.now())
    assert "The reaction to which it led was voided." in words_of(page.get(QUEUE))
    reject(page, answer, words="It was none")
    assert "Nothing is waiting." in words_of(page.get(QUEUE))


@pytest.mark.parametrize("what", ["infusion", "patient"])
def test_what_is_void_is_nobodys_task(page: Client, infusion: Infusion, what: str) -> None:
    answer = tell(infusion)
    pk = {"infusion": infusion.pk, "patient": infusion.patient_id}[what]
    page.post(reverse(f"reactions:void_{what}", args=[pk]), {"seen_version": "1", "reason": "Mistake"})
    assert "Nothing is waiting." in words_of(page.get(QUEUE))
    for name in ("review", "accept_report", "merge_report", "reject_report"):
        assert page.post(address(name, answer)).status_code in {404, 405}


def test_who_voids_an_infusion_is_told_of_the_report_that_goes_with_it(page: Client, infusion: Infusion) -> None:
    address = reverse("reactions:void_infusion", args=[infusion.pk])
    assert "waits for review" not in words_of(page.get(address))
    answer = tell(infusion)
    assert "1 report of the patient about this infusion waits for review" in words_of(page.get(address))
    reject(page, answer)
    assert "waits for review" not in words_of(page.get(address))


def test_a_report_of_a_course_belongs_to_the_day_on_which_it_began(page: Client, patient: Patient) -> None:
    first = make_infusion(patient, ended_at=timezone.now() - timedelta(hours=52))
    second = make_infusion(patient, course=first.course)
    answer = tell(second, began_at=first.ended_at + timedelta(hours=1))
    shown = words_of(page.get(address("accept_report", answer)))
    day = first.started_at.astimezone(patient.zone)
    assert f"To Privigen, 30 g, {day:%Y-%m-%d %H:%M}" in shown
    other = page.get(address("accept_report", answer), {"infusion": second.pk})
    assert f"{second.started_at.astimezone(patient.zone):%Y-%m-%d %H:%M}" in words_of(other)
    foreign = make_infusion(patient)
    for nonsense in (foreign.pk, "x", "9" * 40, "\0"):
        assert page.get(address("accept_report", answer), {"infusion": nonsense}).status_code == 404
    data = accepting(page, answer, **{"symptoms-0-onset_at": f"{day + timedelta(hours=5):%Y-%m-%dT%H:%M}"})
    assert page.post(address("accept_report", answer), data).status_code == 302
    assert Reaction.objects.get().infusion == first


def test_the_longest_waiting_stands_first(page: Client, clinic: Clinic) -> None:
    for name, hours in (("Young", 1), ("Old", 9), ("Middle", 4)):
        answer = tell(make_infusion(make_patient(clinic, family_name=name)))
        Answer.objects.filter(pk=answer.pk).update(submitted_at=timezone.now() - timedelta(hours=hours))
    assert re.findall(r"Tessa (\w+):", words_of(page.get(QUEUE))) == ["Old", "Middle", "Young"]


def test_another_clinics_report_is_not_found(client: Client, infusion: Infusion, other_nurse: User) -> None:
    answer = tell(infusion)
    client.force_login(other_nurse)
    assert "Tessa" not in client.get(QUEUE).content.decode()
    for name in ("review", "accept_report", "merge_report", "reject_report"):
        assert client.get(address(name, answer)).status_code == 404
        assert client.post(address(name, answer), {"reject-reason": "not_related"}).status_code in {404, 405}
    assert not ReviewDecision.objects.exists()


def test_the_queue_asks_the_same_queries_however_long_it_is_and_has_pages(
    page: Client, clinic: Clinic, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    def fill(times: int) -> None:
        for _ in range(times):
            infusion = make_infusion(make_patient(clinic))
            reject(page, tell(infusion))
            tell(infusion, {"itch": "mild"})

    fill(1)
    page.get(QUEUE)
    with django_assert_max_num_queries(25) as one:
        page.get(QUEUE)
    asked = len(one)
    fill(49)
    with django_assert_max_num_queries(asked):
        shown = page.get(QUEUE)
    assert "Page 1 of 2" in words_of(shown)
    assert words_of(page.get(QUEUE, {"page": "2"})).count("Itching: mild") == 25


def test_a_report_asks_the_same_queries_however_much_is_known(
    page: Client, infusion: Infusion, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    def add() -> None:
        make_reaction(infusion)
        reject(
            page, tell(make_infusion(infusion.patient, ended_at=timezone.now() - timedelta(hours=30)), {"itch": "mild"})
        )

    answer = tell(infusion)
    add()
    page.get(address("review", answer))
    with django_assert_max_num_queries(40) as one:
        page.get(address("review", answer))
    asked = len(one)
    for _ in range(4):
        add()
    with django_assert_max_num_queries(asked):
        page.get(address("review", answer))


def test_what_an_answer_says_otherwise(infusion: Infusion) -> None:
    first = tell(infusion, comment="a")
    same = tell(infusion, comment="a", still_there=None)
    assert answer_changes(first, same) == []
    other = tell(infusion, {"headache": "severe"}, comment="b", care_sought="hospital", still_there=False)
    told = {change.name: (change.before, change.after) for change in answer_changes(first, other)}
    assert told == {
        "Fever, 100.4 °F (38.0 °C) or more": ("mild", ""),
        "Still there": ("", "no"),
        "What the patient did": ("", "Went to the emergency room or hospital"),
        "In the patient's words": ("“a”", "“b”"),
    }


@pytest.mark.django_db(transaction=True)
def test_two_who_decide_in_the_same_instant_leave_one_decision(infusion: Infusion, nurse: User) -> None:
    report = report_of(tell(infusion))
    told: dict[str, Any] = {"by": nurse, "seen_answer": report.newest.pk, "seen_decision": 0, "now": timezone.now()}
    reasons = (RejectReason.NOT_RELATED, RejectReason.DUPLICATE)
    found = at_once(
        *(partial(recording.reject_report, report, reason=reason, submission_id=uuid4(), **told) for reason in reasons)
    )
    assert {type(one) for one in found} == {ReviewDecision, recording.DecidedMeanwhile}
    assert ReviewDecision.objects.count() == 1


def test_a_report_is_never_tied_to_another_course(infusion: Infusion, nurse: User) -> None:
    answer, elsewhere = tell(infusion), make_infusion(infusion.patient)
    told: dict[str, Any] = {"by": nurse, "seen_answer": answer.pk, "seen_decision": 0, "now": timezone.now()}
    with pytest.raises(ValueError, match="another course"):
        recording.merge_report(
            report_of(answer), reaction=make_reaction(elsewhere, {"fever": 3}), submission_id=uuid4(), **told
        )
    with pytest.raises(ValueError, match="another course"):
        recording.accept_report(
            report_of(answer), infusion=elsewhere, details={}, symptoms=[], submission_id=uuid4(), **told
        )
    assert not ReviewDecision.objects.exists()


def test_a_report_about_a_record_that_was_voided_meanwhile_is_not_rejected(infusion: Infusion, nurse: User) -> None:
    answer = tell(infusion)
    report = report_of(answer)
    Infusion.objects.filter(pk=infusion.pk).update(
        voided_at=timezone.now(), voided_by=nurse, void_reason="Entered twice"
    )
    told: dict[str, Any] = {"by": nurse, "seen_answer": answer.pk, "seen_decision": 0, "now": timezone.now()}
    with pytest.raises(RecordVoided):
        recording.reject_report(report, reason=RejectReason.NOT_RELATED, submission_id=uuid4(), **told)
    assert not ReviewDecision.objects.exists()
