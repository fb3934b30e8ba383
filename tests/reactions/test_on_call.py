"""Who is on call: the rota in the admin, and what staff pages say when there is nobody."""

from datetime import UTC, datetime, time, timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from patients.models import AuditEvent, Clinic, StaffRole, User
from reactions.models import AlertPolicy, OnCallShift
from tests.support.factories import make_staff

pytestmark = pytest.mark.django_db

ADD = "admin:reactions_oncallshift_add"


def shift(clinic: Clinic, person: User, *, begins: str, ends: str, **changes: object) -> dict[str, object]:
    """What the form sends; times as on the clocks, such as 2026-03-07 20:00."""
    (day, clock), (last_day, last_clock) = begins.split(), ends.split()
    times = {"starts_at_0": day, "starts_at_1": clock, "ends_at_0": last_day, "ends_at_1": last_clock}
    return times | {"clinic": clinic.pk, "person": person.pk, "rung": 1} | changes


def on_call(clinic: Clinic, person: User, begins_h: float, ends_h: float) -> OnCallShift:
    now = timezone.now()
    spans = {"starts_at": now + timedelta(hours=begins_h), "ends_at": now + timedelta(hours=ends_h)}
    return OnCallShift.objects.create(clinic=clinic, person=person, **spans)


def test_a_night_in_which_the_clocks_change_is_written_on_the_clinics_clocks(
    client: Client, administrator: User, clinic: Clinic, nurse: User
) -> None:
    client.force_login(administrator)
    sent = shift(clinic, nurse, begins="2026-03-07 20:00", ends="2026-03-08 08:00")
    assert client.post(reverse(ADD), sent).status_code == 302
    written = OnCallShift.objects.get()
    assert written.starts_at == datetime(2026, 3, 8, 1, tzinfo=UTC)
    assert written.ends_at - written.starts_at == timedelta(hours=11)
    event = AuditEvent.objects.get(act="on_call.added")
    assert (event.by, event.clinic, event.changes["person_id"]) == (administrator, clinic, [None, nurse.pk])
    listed = client.get(reverse("admin:reactions_oncallshift_changelist")).content.decode()
    assert "Sat 2026-03-07 20:00 – Sun 2026-03-08 08:00" in listed


def test_times_are_those_of_the_chosen_clinic_wherever_the_administrator_works(
    client: Client, administrator: User, other_clinic: Clinic, other_nurse: User
) -> None:
    StaffRole.objects.create(user=administrator, clinic=other_clinic, role="administrator")
    client.force_login(administrator)
    client.post(reverse(ADD), shift(other_clinic, other_nurse, begins="2026-07-01 08:00", ends="2026-07-01 20:00"))
    written = OnCallShift.objects.get()
    assert written.starts_at == datetime(2026, 7, 1, 6, tzinfo=UTC)
    page = reverse("admin:reactions_oncallshift_change", args=[written.pk])
    assert 'value="08:00:00"' in client.get(page).content.decode()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ends_at_1": "07:00", "ends_at_0": "2026-07-01"}, "The shift ends after it begins."),
        ({"starts_at_0": "2026-03-08", "starts_at_1": "02:30"}, "could not be interpreted"),
        ({"rung": "3"}, "not one of the available choices"),
    ],
)
def test_a_shift_that_cannot_be_is_refused(
    client: Client, administrator: User, clinic: Clinic, nurse: User, changes: dict[str, str], said: str
) -> None:
    client.force_login(administrator)
    sent = shift(clinic, nurse, begins="2026-07-01 08:00", ends="2026-07-01 20:00") | changes
    page = client.post(reverse(ADD), sent).content.decode()
    assert said in page.replace("couldn’t", "could not").replace("couldn&#x27;t", "could not")
    assert not OnCallShift.objects.exists()


def test_only_who_can_be_told_is_put_on_call(
    client: Client, administrator: User, clinic: Clinic, other_clinic: Clinic, other_nurse: User
) -> None:
    StaffRole.objects.create(user=administrator, clinic=other_clinic, role="administrator")
    client.force_login(administrator)
    mute = make_staff(clinic, "mute", email="")
    for person, said in ((other_nurse, "does not work at the clinic"), (mute, "not one of the available choices")):
        sent = shift(clinic, person, begins="2026-07-01 08:00", ends="2026-07-01 20:00")
        assert said in client.post(reverse(ADD), sent).content.decode().replace("That choice is", "")
    assert not OnCallShift.objects.exists()


def test_the_rota_of_another_clinic_is_out_of_reach(
    client: Client, administrator: User, clinic: Clinic, other_clinic: Clinic, other_nurse: User
) -> None:
    foreign = on_call(other_clinic, other_nurse, 0, 8)
    client.force_login(administrator)
    client.post(reverse(ADD), shift(other_clinic, other_nurse, begins="2026-07-01 08:00", ends="2026-07-01 20:00"))
    client.post(reverse("admin:reactions_oncallshift_delete", args=[foreign.pk]), {"post": "yes"})
    assert list(OnCallShift.objects.all()) == [foreign]
    assert "Odile" not in client.get(reverse(ADD)).content.decode()
    assert client.get(reverse("admin:reactions_oncallshift_change", args=[foreign.pk])).status_code == 302


def test_who_is_taken_off_the_rota_leaves_a_trace(
    client: Client, administrator: User, clinic: Clinic, nurse: User
) -> None:
    written = on_call(clinic, nurse, 0, 8)
    client.force_login(administrator)
    address = reverse("admin:reactions_oncallshift_delete", args=[written.pk])
    assert client.post(address, {"post": "yes"}).status_code == 302
    assert not OnCallShift.objects.exists()
    event = AuditEvent.objects.get(act="on_call.removed")
    assert (event.by, event.changes["person_id"]) == (administrator, [nurse.pk, None])


def test_an_administrator_sets_the_targets_of_their_clinic_once(
    client: Client, administrator: User, clinic: Clinic, other_clinic: Clinic
) -> None:
    client.force_login(administrator)
    add = reverse("admin:reactions_alertpolicy_add")
    sent = {
        "red_within_min": "10",
        "red_every_min": "3",
        "amber_within_min": "240",
        "amber_every_min": "60",
        "works_from": "07:00",
        "works_until": "19:00",
    }
    client.post(add, sent | {"clinic": other_clinic.pk})
    wrong = client.post(add, sent | {"clinic": clinic.pk, "works_until": "06:00"}).content.decode()
    assert "The working hours end after they begin" in wrong
    assert not AlertPolicy.objects.exists()
    assert client.post(add, sent | {"clinic": clinic.pk}).status_code == 302
    policy = AlertPolicy.objects.get()
    assert (policy.clinic, policy.red_every_min, policy.works_until) == (clinic, 3, time(19))
    assert client.get(add).status_code == 403
    change = reverse("admin:reactions_alertpolicy_change", args=[policy.pk])
    client.post(change, sent | {"red_within_min": "12"})
    event = AuditEvent.objects.get(act="alert_policy.changed")
    assert (event.by, event.clinic, event.changes) == (administrator, clinic, {"red_within_min": [10, 12]})


def banner(client: Client, user: User) -> str:
    client.force_login(user)
    page = client.get(reverse("patients:list")).content.decode()
    return " ".join(page.partition('id="content"')[2].partition("<h1")[0].split())


def test_a_clinic_without_a_rota_is_not_warned(client: Client, nurse: User) -> None:
    assert "on call" not in banner(client, nurse)


def test_nobody_on_call_now_stands_on_every_staff_page_of_the_clinic(
    client: Client, clinic: Clinic, nurse: User, other_nurse: User
) -> None:
    on_call(clinic, nurse, -9, -1)
    assert f"Nobody is on call at {clinic} now" in banner(client, nurse)
    assert "on call" not in banner(client, other_nurse)


def test_until_when_nobody_is_on_call_is_said(client: Client, clinic: Clinic, nurse: User) -> None:
    coming = on_call(clinic, nurse, 2, 60)
    until = coming.starts_at.astimezone(clinic.zone)
    assert f"now, until {until:%a %H:%M}" in banner(client, nurse)


def test_a_gap_within_a_day_is_said_before_it_comes(client: Client, clinic: Clinic, nurse: User) -> None:
    first = on_call(clinic, nurse, -1, 5)
    second = on_call(clinic, nurse, 8, 60)
    begins, ends = first.ends_at.astimezone(clinic.zone), second.starts_at.astimezone(clinic.zone)
    said = banner(client, nurse)
    assert f"Nobody is on call at {clinic} from {begins:%a %H:%M} until {ends:%a %H:%M}" in said
    second.starts_at = first.ends_at
    second.save()
    assert "on call" not in banner(client, nurse)


def test_a_gap_after_a_day_is_not_said_yet(client: Client, clinic: Clinic, nurse: User) -> None:
    on_call(clinic, nurse, -1, 25)
    assert "on call" not in banner(client, nurse)


@pytest.mark.parametrize("change", ["address", "account", "role"])
def test_who_can_not_be_told_is_not_on_call(client: Client, clinic: Clinic, nurse: User, change: str) -> None:
    gone = make_staff(clinic, "gone")
    on_call(clinic, gone, -1, 48)
    assert "on call" not in banner(client, nurse)
    if change == "address":
        User.objects.filter(pk=gone.pk).update(email="")
    elif change == "account":
        User.objects.filter(pk=gone.pk).update(is_active=False)
    else:
        gone.roles.update(is_active=False)
    assert "Nobody is on call" in banner(client, nurse)


def test_a_long_rota_costs_a_page_two_queries(
    client: Client, clinic: Clinic, nurse: User, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    client.force_login(nurse)
    client.get(reverse("patients:list"))
    with django_assert_max_num_queries(15) as without:
        client.get(reverse("patients:list"))
    for hour in range(0, 48, 4):
        on_call(clinic, nurse, hour - 1, hour + 3)
    with django_assert_max_num_queries(len(without) + 1):
        client.get(reverse("patients:list"))
