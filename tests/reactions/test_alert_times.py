"""How long alerts waited, month by month."""

import csv
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from patients.models import Clinic, User
from reactions.models import Alert, AlertPolicy, Answer
from reactions.rates.alert_times import AlertTimes, alert_times
from reactions.templatetags.alert_words import waited
from reactions.vocabulary import CheckInKind
from tests.support.factories import make_checkins, make_infusion, make_patient

pytestmark = pytest.mark.django_db

# A Wednesday, 10:00 on New York's clocks.
WEDNESDAY = datetime(2026, 3, 4, 15, tzinfo=UTC)
NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)


def raised(clinic: Clinic, level: str = "red", *, at: datetime = WEDNESDAY, after_min: float | None = None) -> Alert:
    """An alert that was acknowledged so long afterwards, or never."""
    patient = make_patient(clinic)
    infusion = make_infusion(patient)
    make_checkins(infusion)
    checkin = infusion.checkins.get(kind=CheckInKind.HOURS_24)
    answer = Answer.objects.create(checkin=checkin, has_problem=True, submitted_at=at, version=1)
    done = {}
    if after_min is not None:
        moment = at + timedelta(minutes=after_min)
        done = {"acknowledged_at": moment, "acknowledged_by": patient.created_by, "what_was_done": "Called"}
    return Alert.objects.create(patient=patient, answer=answer, level=level, why="Reported", raised_at=at, **done)


def test_median_percentile_share_and_open_ones(clinic: Clinic) -> None:
    for minutes in (1, 2, 3, 4, 5, 6, 7, 8, 15, 16):
        raised(clinic, after_min=minutes)
    raised(clinic)
    assert alert_times([clinic], now=NOW) == [
        AlertTimes("2026-03", "red", raised=11, open=1, median_min=5.5, p90_min=15, judged=11, within_target=9)
    ]


def test_an_open_one_with_time_left_is_not_judged(clinic: Clinic) -> None:
    raised(clinic, at=NOW - timedelta(minutes=14))
    line = alert_times([clinic], now=NOW)[0]
    assert (line.open, line.judged, line.share) == (1, 0, None)
    line = alert_times([clinic], now=NOW + timedelta(minutes=2))[0]
    assert (line.open, line.judged, line.share) == (1, 1, 0)


def test_amber_is_judged_in_working_hours_and_by_the_clinics_own_target(clinic: Clinic, other_clinic: Clinic) -> None:
    evening = WEDNESDAY + timedelta(hours=12)
    for minutes in (13 * 60, 15 * 60):  # 11:00 and 13:00 the next day; the target is 12:00
        raised(clinic, "amber", at=evening, after_min=minutes)
    line = alert_times([clinic], now=NOW)[0]
    assert (line.judged, line.within_target) == (2, 1)
    AlertPolicy.objects.create(clinic=clinic, amber_within_min=320)
    assert alert_times([clinic], now=NOW)[0].within_target == 2
    assert alert_times([other_clinic], now=NOW) == []


def test_months_are_the_clinics_and_the_latest_and_most_urgent_stand_first(clinic: Clinic) -> None:
    first_of_april_in_utc = datetime(2026, 4, 1, 2, tzinfo=UTC)
    raised(clinic, "green", at=first_of_april_in_utc)
    raised(clinic, "amber", at=datetime(2026, 4, 1, 5, tzinfo=UTC))
    raised(clinic)
    now = datetime(2026, 4, 2, tzinfo=UTC)
    found = [(line.month, line.level) for line in alert_times([clinic], now=now)]
    assert found == [("2026-04", "amber"), ("2026-03", "red"), ("2026-03", "green")]


def test_the_page_and_its_file_show_the_own_clinics_only(
    client: Client, administrator: User, clinic: Clinic, other_clinic: Clinic
) -> None:
    for own, minutes in ((clinic, 200), (other_clinic, 7)):
        raised(own, at=timezone.now() - timedelta(days=2), after_min=minutes)
    client.force_login(administrator)
    page = client.get("/admin/alert-times/").content.decode()
    assert "3 h 20 min" in page
    assert "0 of 1 (0 %)" in page
    assert "Other Test Clinic" not in page
    [line] = csv.DictReader(client.get("/admin/alert-times.csv").content.decode().splitlines())
    assert (line["level"], line["raised"], line["median_min"], line["share"]) == ("red", "1", "200.0", "0.0")
    for address in ("/admin/alert-times/", "/admin/alert-times.csv"):
        assert client.get(address, {"clinic": clinic.slug}).status_code == 200
        for strange in (other_clinic.slug, "no\x00where", "x" * 5000):
            assert client.get(address, {"clinic": strange}).status_code == 400
        assert client.post(address).status_code == 405
    assert "/admin/alert-times/" in client.get("/admin/").content.decode()


def test_more_alerts_ask_no_more_queries(
    client: Client, administrator: User, clinic: Clinic, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    client.force_login(administrator)
    raised(clinic, at=timezone.now())
    with django_assert_max_num_queries(20) as one:
        client.get("/admin/alert-times/")
    for _ in range(4):
        raised(clinic, at=timezone.now())
    with django_assert_max_num_queries(len(one)):
        client.get("/admin/alert-times/")


@pytest.mark.parametrize(
    ("minutes", "words"),
    [(None, "–"), (0.4, "0 min"), (59.4, "59 min"), (59.6, "1 h 0 min"), (200, "3 h 20 min"), (3190, "2 d 5 h")],
)
def test_a_wait_in_words(minutes: float | None, words: str) -> None:
    assert waited(minutes) == words
