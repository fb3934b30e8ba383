"""The safety card when a recorded infusion is corrected: what it asks, what it does not ask again, what is kept."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import DjangoAssertNumQueries

from patients.models import AuditEvent, Patient, User
from reactions import recording
from reactions.models import Infusion, Product, SafetyCheck
from tests.support.factories import make_infusion, make_reaction
from tests.support.forms import infusion_form

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_broker")]

DECIDE = "Write the name of the clinician who decided"
MORE = "The card says more now"
READ = "Read the card and write why the infusion goes on"


@pytest.fixture
def recorded(page: Client, patient: Patient) -> Infusion:
    """35 g at 70 kg on 4 May 2026, recorded through its page and answered for."""
    page.post(reverse("reactions:record_infusion", args=[patient.pk]), infusion_form())
    return Infusion.objects.get()


@pytest.fixture
def correct(recorded: Infusion) -> str:
    return reverse("reactions:correct_infusion", args=[recorded.pk])


def correction(infusion: Infusion, **changes: Any) -> dict[str, Any]:
    """What the form sends of the version that is stored; the card is not answered yet."""
    infusion.refresh_from_db()
    unanswered = {"safety-reason": "", "safety-shown": "", "seen_version": infusion.version, "reason": "Misread"}
    return infusion_form(**unanswered | changes)


def answered(data: dict[str, Any], refused: Any, **answer: str) -> dict[str, Any]:
    """The same form sent again from the page that refused it, with an answer."""
    shown = {"safety-shown": refused.context["entry"].card_codes, "safety-reason": "Checked with the pharmacy"}
    return data | shown | {f"safety-{name}": value for name, value in answer.items()}


def codes(items: list[dict[str, Any]], **wanted: Any) -> set[str]:
    return {item["code"] for item in items if all(item.get(name) == value for name, value in wanted.items())}


def test_the_form_shows_the_card_and_asks_nothing_yet(page: Client, correct: str) -> None:
    text = page.get(correct).content.decode()
    assert "The first infusion of immune globulin on record" in text
    assert 'name="safety-reason"' not in text
    assert "New with the correction" not in text


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"dose_g": "200"}, "dose_high"),
        ({"weight_kg": "10"}, "dose_high"),
        ({"indication": "cidp", "planned_rate_ml_per_h": "350"}, "rate_above_label"),
        ({"indication": "dermatomyositis"}, "dermatomyositis"),
    ],
)
def test_what_a_correction_brings_in_is_asked_and_answered_it_is_saved(
    page: Client, correct: str, recorded: Infusion, nurse: User, change: dict[str, str], code: str
) -> None:
    first = SafetyCheck.objects.get()
    data = correction(recorded, notes="kept words", **change)
    refused = page.post(correct, data)
    text = refused.content.decode()
    assert READ in text
    assert "kept words" in text
    assert text.count("New with the correction") == 1
    assert SafetyCheck.objects.count() == 1

    assert page.post(correct, answered(data, refused)).status_code == 302
    recorded.refresh_from_db()
    assert (recorded.notes, recorded.version) == ("kept words", 2)
    second = recorded.safety_checks.exclude(pk=first.pk).get()
    assert codes(second.items, asked=True) == {code}
    assert codes(second.items, asked=False) >= {"first_infusion", "iga_not_known"}
    assert (second.acknowledged_by, second.reason) == (nurse, "Checked with the pharmacy")
    kept = SafetyCheck.objects.get(pk=first.pk)
    assert (kept.items, kept.reason, kept.shown_at) == (first.items, "Known, closely watched", first.shown_at)


def test_another_product_than_last_time_is_asked(page: Client, correct: str, recorded: Infusion) -> None:
    make_infusion(recorded.patient, started_at=recorded.started_at - timedelta(days=7), product=recorded.product)
    other = Product.objects.for_infusion().exclude(pk=recorded.product_id).first()
    data = correction(recorded, product=str(other.pk))
    refused = page.post(correct, data)
    assert READ in refused.content.decode()
    assert page.post(correct, answered(data, refused)).status_code == 302
    assert codes(SafetyCheck.objects.latest("pk").items, asked=True) == {"product_switch"}


def test_a_start_moved_behind_a_severe_reaction_needs_the_name_of_who_decided(
    page: Client, correct: str, recorded: Infusion
) -> None:
    severe = make_infusion(recorded.patient, started_at=datetime(2026, 5, 6, 13, tzinfo=UTC))
    make_reaction(severe, {"anaphylaxis": 4})
    shown = page.get(correct)
    assert "Label contraindication" not in shown.content.decode()
    assert not shown.context["earlier"]
    data = correction(recorded, started_at="2026-05-08T09:00", ended_at="2026-05-08T13:00")
    refused = page.post(correct, data)
    assert READ in refused.content.decode()
    assert [line.reaction.infusion for line in refused.context["earlier"]] == [severe]
    refused = page.post(correct, answered(data, refused))
    assert DECIDE in refused.content.decode()
    assert page.post(correct, answered(data, refused, decided_by="Dr. Synthia Test")).status_code == 302
    check = SafetyCheck.objects.latest("pk")
    assert codes(check.items, asked=True) == {"prior_severe_reaction", "prior_reaction"}
    assert check.decided_by == "Dr. Synthia Test"
    text = page.get(reverse("reactions:infusion", args=[recorded.pk])).content.decode()
    assert "Decided by Dr. Synthia Test" in text


def test_an_infusion_and_its_own_reaction_are_not_earlier_when_its_start_moves(
    page: Client, correct: str, recorded: Infusion
) -> None:
    make_reaction(recorded, {"anaphylaxis": 4}, minutes=60)
    moved = page.post(correct, correction(recorded, started_at="2026-05-04T09:10"))
    assert moved.status_code == 302
    assert SafetyCheck.objects.count() == 1
    # Refused, the page does not list it either.
    refused = page.post(correct, correction(recorded, started_at="2026-05-04T09:20", dose_g="200"))
    assert not refused.context["earlier"]
    assert {"first_infusion"} <= {item.code for item in refused.context["entry"].card}


def test_the_grams_of_the_whole_course_are_compared(page: Client, correct: str, recorded: Infusion) -> None:
    second = recorded.started_at + timedelta(days=1)
    make_infusion(recorded.patient, course=recorded.course, started_at=second, dose_g=Decimal(130))
    refused = page.post(correct, correction(recorded, dose_g="40"))
    (asked,) = refused.context["entry"].asked
    assert asked.text == "170 g in this course for 70 kg is more than 2.4 g/kg."


def test_a_start_that_cannot_be_read_leaves_the_stored_one_for_the_card(
    page: Client, correct: str, recorded: Infusion
) -> None:
    make_reaction(make_infusion(recorded.patient, started_at=recorded.started_at + timedelta(days=2)))
    refused = page.post(correct, correction(recorded, started_at="tomorrow"))
    assert "is not a date and time" in refused.content.decode()
    assert not refused.context["entry"].asked
    assert not refused.context["earlier"]


def test_what_nobody_read_is_not_answered(page: Client, correct: str, recorded: Infusion) -> None:
    data = correction(recorded, dose_g="200", **{"safety-reason": "As always"})
    refused = page.post(correct, data)
    assert MORE in refused.content.decode()
    assert "As always" in refused.content.decode()
    recorded.refresh_from_db()
    assert recorded.dose_g == 35


@pytest.mark.parametrize(
    "change",
    [{"notes": "New words"}, {"vials-0-lot": "SYN-2"}, {"ended_at": "2026-05-04T13:30"}, {"dose_g": "30"}],
)
def test_a_correction_that_brings_nothing_in_does_not_ask(
    page: Client, correct: str, recorded: Infusion, change: dict[str, str]
) -> None:
    assert page.post(correct, correction(recorded, **change)).status_code == 302
    assert SafetyCheck.objects.count() == 1
    assert "acknowledged" not in AuditEvent.objects.get(act="infusion.corrected").changes


def test_what_was_answered_in_these_words_is_not_asked_again(page: Client, correct: str, recorded: Infusion) -> None:
    data = correction(recorded, dose_g="200")
    page.post(correct, answered(data, page.post(correct, data)))
    # Away from it and back to it, in the words that were answered.
    for dose in ("35", "200"):
        assert page.post(correct, correction(recorded, dose_g=dose)).status_code == 302
    assert SafetyCheck.objects.count() == 2
    # Other words are another question.
    assert READ in page.post(correct, correction(recorded, dose_g="201")).content.decode()


def test_what_became_known_since_is_not_the_corrections_doing(
    page: Client, correct: str, recorded: Infusion, nurse: User
) -> None:
    recorded.patient.risks.create(factor="prior_thrombosis", created_by=nurse)
    assert "Earlier thrombosis" in page.get(correct).content.decode()
    assert page.post(correct, correction(recorded, dose_g="30")).status_code == 302
    assert SafetyCheck.objects.count() == 1


def test_an_imported_infusion_is_asked_about_the_correction_alone(page: Client, infusion: Infusion) -> None:
    """Nobody read a card when it was imported, and nobody is asked to do so afterwards."""
    address = reverse("reactions:correct_infusion", args=[infusion.pk])
    assert page.post(address, correction(infusion, dose_g="35")).status_code == 302
    assert not SafetyCheck.objects.exists()
    data = correction(infusion, dose_g="200")
    assert page.post(address, answered(data, page.post(address, data))).status_code == 302
    assert codes(SafetyCheck.objects.get().items, asked=True) == {"dose_high"}


def test_the_infusions_page_shows_every_card_with_who_and_when(
    page: Client, correct: str, recorded: Infusion, administrator: User
) -> None:
    data = correction(recorded, dose_g="200")
    page.post(correct, answered(data, page.post(correct, data)))
    late = datetime(2026, 6, 1, 9, 30, tzinfo=recorded.zone)
    stored = SafetyCheck._base_manager
    known = [check.pk for check in SafetyCheck.objects.all() if check.reason == "Known, closely watched"]
    stored.exclude(pk__in=known).update(shown_at=late, acknowledged_by=administrator)
    stored.filter(pk__in=known).update(shown_at=late - timedelta(days=1))
    text = page.get(reverse("reactions:infusion", args=[recorded.pk])).content.decode()
    first = text.index("Nora Test, 2026-05-31 09:30: “Known, closely watched”")
    second = text.index("Ada Test, 2026-06-01 09:30: “Checked with the pharmacy”")
    assert text.index("Safety card as it was shown 2026-05-31") < first
    assert first < text.index("Safety card as it was shown with a correction, 2026-06-01") < second
    assert text.count("New with the correction") == 1


def test_more_corrections_ask_no_more_queries(
    page: Client, correct: str, recorded: Infusion, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    infusion_page = reverse("reactions:infusion", args=[recorded.pk])
    with django_assert_max_num_queries(40) as shown:
        page.get(infusion_page)
    one = len(shown)
    data = correction(recorded, dose_g="200")
    for number in range(3):
        data |= {"dose_g": f"20{number}", "seen_version": number + 1}
        page.post(correct, answered(data, page.post(correct, data)))
    assert SafetyCheck.objects.count() == 4
    with django_assert_max_num_queries(one):
        page.get(infusion_page)


def test_a_stale_correction_keeps_the_answer_that_was_typed(page: Client, correct: str, recorded: Infusion) -> None:
    data = correction(recorded, dose_g="200")
    data = answered(data, page.post(correct, data))
    page.post(correct, correction(recorded, notes="Theirs"))
    refused = page.post(correct, data)
    assert refused.status_code == 409
    assert 'value="Checked with the pharmacy"' in refused.content.decode()
    assert SafetyCheck.objects.count() == 1
    again = data | {"seen_version": refused.context["entry"].form["seen_version"].value()}
    assert page.post(correct, again).status_code == 302
    assert SafetyCheck.objects.latest("pk").reason == "Checked with the pharmacy"


def test_an_answer_that_somebody_else_gave_meanwhile_hides_nothing_typed(
    page: Client, correct: str, recorded: Infusion
) -> None:
    data = correction(recorded, dose_g="200")
    data = answered(data, page.post(correct, data))
    page.post(correct, data | {"safety-reason": "Theirs"})
    refused = page.post(correct, data)
    assert refused.status_code == 409
    assert 'value="Checked with the pharmacy"' in refused.content.decode()


def test_the_verb_asks_whoever_calls_it_and_writes_nothing_without_an_answer(recorded: Infusion, nurse: User) -> None:
    def correct(acknowledged: recording.Acknowledgement | None) -> Infusion:
        mine = Infusion.objects.get(pk=recorded.pk)
        details = {"dose_g": Decimal(200), "started_at": recorded.started_at - timedelta(minutes=5)}
        words: dict[str, Any] = {"by": nurse, "vials": [], "premedications": [], "reason": "Misread", "seen_version": 1}
        return recording.correct_infusion(mine, details=details, acknowledged=acknowledged, now=timezone.now(), **words)

    for nothing in (None, recording.Acknowledgement(""), recording.Acknowledgement(" \u200b", "Dr. Synthia Test")):
        with pytest.raises(recording.CardUnanswered) as refused:
            correct(nothing)
        assert [item.code for item in refused.value.items] == ["dose_high"]
    recorded.refresh_from_db()
    assert (recorded.version, recorded.dose_g, recorded.vials.count()) == (1, 35, 1)
    correct(recording.Acknowledgement("Checked"))
    assert recorded.safety_checks.count() == 2
    changes = AuditEvent.objects.get(act="infusion.corrected").changes
    assert changes["safety_card"] == [None, ["200 g in this course for 70 kg is more than 2.4 g/kg."]]
    assert changes["acknowledged"] == [None, "Checked"]


def test_what_came_up_at_the_moment_of_saving_is_said_and_nothing_typed_is_lost(
    page: Client, correct: str, recorded: Infusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The form found nothing to ask, and the verb does: somebody changed what the card is made of in between."""
    real = recording.correct_infusion

    def after_a_change(infusion: Infusion, **words: Any) -> Infusion:
        recorded.course.infusions.exclude(pk=recorded.pk).update(dose_g=Decimal(130))
        return real(infusion, **words)

    make_infusion(recorded.patient, course=recorded.course, started_at=recorded.started_at + timedelta(days=1))
    monkeypatch.setattr(recording, "correct_infusion", after_a_change)
    text = page.post(correct, correction(recorded, dose_g="40", notes="kept words")).content.decode()
    assert "Not answered yet: 170 g in this course for 70 kg is more than 2.4 g/kg." in text
    assert "kept words" in text
    assert 'name="safety-reason"' in text


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        ("hypersensitivity", "Hypersensitivity in the history: Latex, 2019"),
        ("severe_ig_reaction_elsewhere", "immune globulin, elsewhere: Latex, 2019"),
    ],
)
def test_the_history_is_noted_beside_the_card(
    page: Client, correct: str, recorded: Infusion, nurse: User, factor: str, words: str
) -> None:
    patient = recorded.patient
    start = reverse("reactions:start_infusion", args=[patient.pk])
    record = reverse("reactions:record_infusion", args=[patient.pk])
    assert "Noted in the history" not in page.get(start).content.decode()
    noted = patient.risks.create(factor=factor, note="Latex, 2019", created_by=nurse)
    patient.risks.create(factor="atopy", note="Hay fever", created_by=nurse)
    for address in (start, record, correct):
        text = page.get(address).content.decode()
        beside = text[text.index("Noted in the history") :]
        assert words in beside
        assert "Hay fever" not in beside
    noted.voided_at, noted.voided_by, noted.void_reason = timezone.now(), nurse, "Not so"
    noted.save()
    assert "Noted in the history" not in page.get(start).content.decode()


def test_a_card_without_warnings_does_not_talk_over_the_history(
    page: Client, infusion: Infusion, patient: Patient, nurse: User
) -> None:
    patient.iga_results.create(value=180, measured_on=infusion.started_at.date(), created_by=nurse)
    start = reverse("reactions:start_infusion", args=[patient.pk])
    assert "No warnings found in what is recorded." in page.get(start).content.decode()
    patient.risks.create(factor="hypersensitivity", created_by=nurse)
    text = page.get(start).content.decode()
    assert "Noted in the history" in text
    assert "No warnings found" not in text
