"""Signals: raised once, decided by a named person, raised again when clearly more came."""

import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from io import StringIO
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from patients.models import AuditEvent, Clinic, User
from patients.words import StaffRoleName
from reactions import raising, recording, tasks
from reactions.models import OutboxMessage, Signal, SignalDecision, SignalLook, Symptom, WorkItem
from reactions.raising import raise_signals
from reactions.rates import signal_rows
from reactions.rates.signal_rows import cases_of, look
from reactions.rates.signals import Watched
from reactions.vocabulary import SignalVerdict
from tests.support.at_once import at_once
from tests.support.factories import make_infusion, make_patient, make_reaction, make_signal, make_staff

pytestmark = pytest.mark.django_db

SIGNALS = "/admin/signals/"
WORKLIST = "/worklist/"


def give(clinic: Clinic, lot: str, events: int, total: int) -> None:
    """So many infusions of the lot, each to a patient of its own; the first ones with a reaction."""
    for number in range(total):
        infusion = make_infusion(make_patient(clinic), ended_at=timezone.now() - timedelta(hours=100 + number))
        infusion.vials.create(lot=lot)
        if number < events:
            make_reaction(infusion)


@pytest.fixture
def bad_lot(clinic: Clinic, administrator: User) -> None:
    """5 of 8 infusions of one lot with a reaction, and none of 30 of another."""
    give(clinic, "SYN-BAD", 5, 8)
    give(clinic, "SYN-GOOD", 0, 30)


def raise_now(clinic: Clinic) -> int:
    return raise_signals(clinic, now=timezone.now())


def decide(signal: Signal, by: User, *, words: str = "Looked into", submission: UUID | None = None) -> SignalDecision:
    return recording.decide_signal(
        signal,
        by=by,
        verdict=SignalVerdict.NO_CAUSE,
        words=words,
        seen_version=signal.version,
        submission_id=submission or uuid4(),
        now=timezone.now(),
    )


def words_of(answer: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def decision_form(**fields: Any) -> dict[str, Any]:
    return {
        "submission_id": str(uuid4()),
        "seen_version": 1,
        "verdict": "quarantined",
        "words": "Set aside and told the maker",
    } | fields


def test_rows_become_cases_with_lots_in_capitals_and_days_on_the_clinics_clocks(clinic: Clinic) -> None:
    infusion = make_infusion(make_patient(clinic))
    infusion.vials.create(lot="syn-1")
    infusion.vials.create(lot="SYN-1")
    for minutes, rate in ((0, 120), (30, 240)):
        at = infusion.started_at + timedelta(minutes=minutes)
        reason = "step_up" if minutes else "start"
        infusion.rate_steps.create(at=at, rate_ml_per_h=rate, reason=reason, created_by=infusion.created_by)
    nurse = make_staff(clinic, "who-wrote-it-down")
    assert infusion.created_by != nurse
    make_reaction(infusion, created_by=nurse)
    void = make_infusion(infusion.patient, ended_at=timezone.now() - timedelta(days=9))
    type(void).objects.filter(pk=void.pk).update(
        voided_at=timezone.now(), voided_by=void.created_by, void_reason="Never given"
    )
    old = make_infusion(infusion.patient, ended_at=timezone.now() - timedelta(days=99))
    [case] = cases_of(clinic, since=old.ended_at)
    assert (case.pk, case.lots, case.event) == (infusion.pk, frozenset({"SYN-1"}), True)
    assert (case.highest_rate, case.written_by, case.first) == (240, nurse.pk, False)
    assert case.day == infusion.started_at.astimezone(clinic.zone).date()


def test_a_lot_that_stands_out_is_raised_once_with_an_item_and_a_mail(bad_lot: None, clinic: Clinic) -> None:
    assert [raise_now(clinic), raise_now(clinic)] == [1, 0]
    signal = Signal.objects.get()
    assert (signal.what, signal.observed, signal.total) == ("Lot SYN-BAD of Privigen", 5, 8)
    assert WorkItem.objects.get().signal == signal
    assert OutboxMessage.objects.get().work.signal == signal
    assert AuditEvent.objects.filter(act="signal.raised").count() == 1
    assert signal.infusions_behind().count() == 8
    told = SignalLook.objects.get()
    assert (told.infusions, told.lots) == (38, 2)
    assert told.watched == []


def test_an_open_signal_follows_the_figures(bad_lot: None, clinic: Clinic) -> None:
    raise_now(clinic)
    give(clinic, "syn-bad", 1, 1)
    assert raise_now(clinic) == 0
    signal = Signal.objects.get()
    assert (signal.observed, signal.total, signal.stands_out) == (6, 9, True)
    assert signal.infusions_behind().count() == 9


def test_what_does_not_stand_out_any_more_waits_for_a_decision_all_the_same(bad_lot: None, clinic: Clinic) -> None:
    raise_now(clinic)
    Symptom.objects.all().delete()
    assert raise_now(clinic) == 0
    signal = Signal.objects.get()
    assert (signal.stands_out, signal.decided_at, signal.observed) == (False, None, 5)
    assert WorkItem.objects.open().count() == 1


def test_a_year_that_is_over_is_not_looked_at_and_says_so(
    client: Client, bad_lot: None, clinic: Clinic, administrator: User
) -> None:
    year = timezone.now().astimezone(clinic.zone).year
    told = {"kind": "site", "product": "", "lot": "", "words": "5 reactions"}
    last, this = (make_signal(clinic, **told, what=f"In {name}", period=str(name)) for name in (year - 1, year))
    lot = make_signal(clinic, lot="SYN-QUIET")
    raise_now(clinic)
    for signal in (last, this, lot):
        signal.refresh_from_db()
    assert (last.stands_out, this.stands_out, lot.stands_out) == (True, False, False)
    assert (last.year_is_over, this.year_is_over, lot.year_is_over) == (True, False, False)
    client.force_login(administrator)
    shown = words_of(client.get(f"{SIGNALS}{last.pk}/"))
    assert f"Its year is over: nobody looks at {year - 1} any more." in shown
    assert "does not stand out any more" not in shown
    shown = words_of(client.get(f"{SIGNALS}{this.pk}/"))
    assert "It does not stand out any more at the latest look." in shown
    assert "Its year is over" not in shown


def test_a_decision_keeps_the_figures_and_ends_the_item(bad_lot: None, clinic: Clinic, administrator: User) -> None:
    raise_now(clinic)
    signal = Signal.objects.get()
    decision = decide(signal, administrator)
    signal.refresh_from_db()
    assert (decision.events, decision.infusions, decision.figures) == (5, 8, signal.words)
    assert signal.decided_at == decision.decided_at
    assert WorkItem.objects.get().closed_because == "Looked into: no cause found"
    assert AuditEvent.objects.get(act="signal.decided").by == administrator
    assert raise_now(clinic) == 0
    again = decide(signal, administrator, words="Looked once more")
    signal.refresh_from_db()
    assert signal.decided_at == decision.decided_at
    assert list(signal.decisions.all()) == [again, decision]


def test_a_decision_made_while_a_look_is_under_way_keeps_its_figures(
    bad_lot: None, clinic: Clinic, administrator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    raise_now(clinic)
    give(clinic, "SYN-BAD", 1, 1)

    def look_slowly(*args: Any, **kwargs: Any) -> Any:
        seen = look(*args, **kwargs)
        decide(Signal.objects.get(), administrator)
        return seen

    monkeypatch.setattr(raising, "look", look_slowly)
    assert raise_now(clinic) == 0
    assert Signal.objects.get().events == SignalDecision.objects.get().events == 5


def test_a_rule_that_is_set_while_a_look_is_under_way_has_not_been_kept_by_it(
    bad_lot: None, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a rule every subject may be told; under one that came meanwhile nobody has judged that."""

    def look_slowly(*args: Any, **kwargs: Any) -> Any:
        seen = look(*args, **kwargs)
        Clinic.objects.filter(pk=clinic.pk).update(least_patients=5)
        return seen

    monkeypatch.setattr(raising, "look", look_slowly)
    raise_now(clinic)
    signal = Signal.objects.get()
    assert signal.least_patients == 0
    assert not signal.tells_figures


def test_an_earlier_look_does_not_win(bad_lot: None, clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another worker looked, and saw more, while this one was at it."""

    def look_slowly(*args: Any, **kwargs: Any) -> Any:
        seen = look(*args, **kwargs)
        monkeypatch.setattr(raising, "look", look)
        give(clinic, "SYN-BAD", 1, 1)
        assert raise_now(clinic) == 1
        return seen

    monkeypatch.setattr(raising, "look", look_slowly)
    assert raise_now(clinic) == 0
    assert Signal.objects.get().events == 6


def test_figures_that_nobody_saw_are_not_decided_about(
    client: Client, bad_lot: None, clinic: Clinic, administrator: User
) -> None:
    raise_now(clinic)
    raise_now(clinic)
    signal = Signal.objects.get()
    assert signal.version == 1, "the same figures"
    client.force_login(administrator)
    address = f"{SIGNALS}{signal.pk}/"
    assert 'name="seen_version" value="1"' in client.get(address).content.decode()
    give(clinic, "SYN-BAD", 1, 1)
    raise_now(clinic)
    refused = client.post(address, decision_form())
    assert (refused.status_code, SignalDecision.objects.count()) == (409, 0)
    shown = refused.content.decode()
    assert "6 reactions in 9 infusions" in shown
    assert "Nothing of yours was saved" in shown
    assert "Set aside and told the maker" in shown, "what was typed stays"
    assert client.post(address, decision_form(seen_version="lost")).status_code == 409
    Symptom.objects.all().delete()
    raise_now(clinic)
    assert client.post(address, decision_form(seen_version=2)).status_code == 409
    assert client.post(address, decision_form(seen_version=3)).status_code == 302
    assert SignalDecision.objects.get().events == 6


def test_a_decision_sent_twice_is_one_and_other_words_are_refused(clinic: Clinic, administrator: User) -> None:
    signal, submission = make_signal(clinic), uuid4()
    first = decide(signal, administrator, submission=submission)
    assert decide(signal, administrator, submission=submission) == first
    with pytest.raises(recording.SentBefore):
        decide(signal, administrator, words="Something else", submission=submission)
    assert SignalDecision.objects.count() == 1


def test_it_is_raised_again_when_three_more_come(bad_lot: None, clinic: Clinic, administrator: User) -> None:
    raise_now(clinic)
    first = Signal.objects.get()
    decide(first, administrator)
    give(clinic, "SYN-BAD", 2, 2)
    assert raise_now(clinic) == 0
    give(clinic, "SYN-BAD", 1, 1)
    assert raise_now(clinic) == 1
    second = Signal.objects.open().get()
    assert list(second.earlier()) == [first]
    assert WorkItem.objects.open().get().signal == second


def test_a_note_on_an_older_signal_raises_none_again(bad_lot: None, clinic: Clinic, administrator: User) -> None:
    raise_now(clinic)
    first = Signal.objects.get()
    decide(first, administrator)
    give(clinic, "SYN-BAD", 3, 3)
    assert raise_now(clinic) == 1
    decide(Signal.objects.open().get(), administrator)
    decide(first, administrator, words="Heard of the maker")
    assert raise_now(clinic) == 0
    give(clinic, "SYN-BAD", 3, 3)
    assert raise_now(clinic) == 1


def test_the_watch_starts_anew_at_a_decision_of_its_year(
    clinic: Clinic, administrator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    infusion = make_infusion(make_patient(clinic))
    year = infusion.started_at.astimezone(clinic.zone).year
    told = {"kind": "site", "product": "", "lot": ""}
    decide(make_signal(clinic, **told, period=str(year - 1), reacted=[1]), administrator)
    for pk in (2, 3):
        decide(make_signal(clinic, **told, period=str(year), reacted=[pk]), administrator)
    make_signal(clinic, **told, period=str(year), reacted=[4])
    asked = []

    def listen(*args: Any) -> Watched:
        asked.append(args[-1])
        return Watched()

    monkeypatch.setattr(signal_rows, "watch", listen)
    raise_signals(clinic, now=infusion.ended_at)
    assert [one.reacted for one in asked] == [{2, 3}]


def test_two_clinics_are_looked_at_apart(bad_lot: None, clinic: Clinic, other_clinic: Clinic) -> None:
    give(other_clinic, "SYN-BAD", 0, 30)
    assert raise_now(other_clinic) == 0
    assert raise_now(clinic) == 1
    assert Signal.objects.get().total == 8


def test_the_page_tells_it_and_takes_a_decision(
    client: Client, bad_lot: None, clinic: Clinic, administrator: User
) -> None:
    client.force_login(administrator)
    assert "Nobody has looked at Synthetic Infusion Clinic yet" in words_of(client.get(SIGNALS))
    raise_now(clinic)
    assert "Nobody has looked" not in words_of(client.get(SIGNALS))
    SignalLook.objects.update(looked_at=timezone.now() - timedelta(days=3))
    assert "Nobody has looked at Synthetic Infusion Clinic since" in words_of(client.get(SIGNALS))
    signal = Signal.objects.get()
    assert "Lot SYN-BAD of Privigen" in words_of(client.get(SIGNALS))
    address = f"{SIGNALS}{signal.pk}/"
    shown = words_of(client.get(address))
    assert "5 reactions in 8 infusions" in shown
    assert "not proof of a cause" in shown
    assert "Infusions behind it" in shown

    refused = client.post(address, decision_form(words=""))
    assert (refused.status_code, SignalDecision.objects.count()) == (200, 0)
    assert 'role="alert"' in refused.content.decode()
    form = decision_form()
    assert client.post(address, form).status_code == 302
    assert client.post(address, form).status_code == 302
    assert "saved already" in words_of(client.post(address, form | {"words": "Others"}))
    shown = words_of(client.get(SIGNALS))
    assert "Nothing waits for a decision." in shown
    assert "Product set aside: Set aside and told the maker" in shown
    assert SIGNALS in client.get("/admin/").content.decode()


def test_the_page_says_what_counts_and_calls_a_setting_a_setting(
    client: Client, clinic: Clinic, administrator: User
) -> None:
    client.force_login(administrator)
    shown = words_of(client.get(SIGNALS))
    assert "that a clinician recorded, or that a patient told and a clinician confirmed" in shown
    assert "or nobody wrote down when" in shown
    assert "Products, settings and the whole clinic are compared" in shown
    told = {"kind": "site", "product": "", "lot": "", "period": "2026", "checks": ["2 of the 4 reactions"]}
    whole, home = make_signal(clinic, **told), make_signal(clinic, **told, setting="home")
    assert "better than the clinic as a whole:" in words_of(client.get(f"{SIGNALS}{whole.pk}/"))
    assert "better than the setting:" in words_of(client.get(f"{SIGNALS}{home.pk}/"))


def test_a_signal_opens_for_the_administrators_of_its_clinic_alone(
    client: Client, clinic: Clinic, other_clinic: Clinic, nurse: User, administrator: User
) -> None:
    signal = make_signal(clinic)
    address = f"{SIGNALS}{signal.pk}/"
    stranger = make_staff(other_clinic, "other-admin", StaffRoleName.ADMINISTRATOR)
    assert client.get(address).status_code == 302
    client.force_login(nurse)
    assert client.get(address).status_code == 302
    client.force_login(stranger)
    assert client.get(address).status_code == 404
    assert client.post(address, decision_form()).status_code == 404
    assert signal.what not in words_of(client.get(SIGNALS))
    assert client.get(SIGNALS, {"clinic": clinic.slug}).status_code == 400
    client.force_login(administrator)
    assert client.get(address).status_code == 200
    assert client.get(f"{SIGNALS}999999999/").status_code == 404
    assert client.put(address).status_code == 405
    assert client.post(SIGNALS).status_code == 405
    assert not SignalDecision.objects.exists()


def test_only_administrators_find_it_on_the_worklist(
    client: Client, bad_lot: None, clinic: Clinic, nurse: User, administrator: User
) -> None:
    raise_now(clinic)
    client.force_login(nurse)
    assert "SYN-BAD" not in words_of(client.get(WORKLIST))
    client.force_login(administrator)
    shown = words_of(client.get(WORKLIST))
    assert "Lot SYN-BAD of Privigen: 5 reactions in 8 infusions" in shown
    assert "Missing: a decision." in shown


def test_more_signals_ask_no_more_queries(
    client: Client, clinic: Clinic, administrator: User, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    client.force_login(administrator)

    def more(name: str) -> None:
        make_signal(clinic, lot=f"OPEN-{name}")
        decide(make_signal(clinic, lot=f"DONE-{name}"), administrator)

    more("1")
    with django_assert_max_num_queries(25) as one:
        client.get(SIGNALS)
    for name in "2345":
        more(name)
    with django_assert_max_num_queries(len(one)):
        client.get(SIGNALS)


def test_more_infusions_ask_no_more_queries(
    client: Client,
    bad_lot: None,
    clinic: Clinic,
    administrator: User,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    raise_now(clinic)
    client.force_login(administrator)
    address = f"{SIGNALS}{Signal.objects.get().pk}/"
    with django_assert_max_num_queries(30) as page:
        client.get(address)
    with django_assert_max_num_queries(3) as looked:
        look(clinic, now=timezone.now())
    give(clinic, "SYN-BAD", 3, 5)
    raise_now(clinic)
    with django_assert_max_num_queries(len(page)):
        client.get(address)
    with django_assert_max_num_queries(len(looked)):
        look(clinic, now=timezone.now())


def test_the_command_looks_at_one_clinic_or_all(bad_lot: None, clinic: Clinic, other_clinic: Clinic) -> None:
    out = StringIO()
    call_command("look_for_signals", clinic=clinic.slug, stdout=out)
    assert out.getvalue() == "Synthetic Infusion Clinic: 1 new, 1 open.\n"
    out = StringIO()
    call_command("look_for_signals", stdout=out)
    assert "Synthetic Infusion Clinic: 0 new, 1 open." in out.getvalue()
    assert "Other Test Clinic: 0 new, 0 open." in out.getvalue()
    with pytest.raises(CommandError, match="There is no clinic"):
        call_command("look_for_signals", clinic="nowhere")


def test_the_worker_looks_at_each_clinic_once_a_day(
    bad_lot: None, clinic: Clinic, other_clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def take(arguments: tuple[int], *, expires: float) -> None:
        asked.extend(arguments)
        tasks.look_at_clinic(*arguments)

    monkeypatch.setattr(tasks.look_at_clinic, "apply_async", take)
    tasks.look_for_signals()
    assert sorted(asked) == [clinic.pk, other_clinic.pk]
    assert Signal.objects.get().clinic == clinic
    tasks.look_for_signals()
    assert len(asked) == 2
    SignalLook.objects.filter(clinic=clinic).update(looked_at=timezone.now() - timedelta(days=1))
    tasks.look_for_signals()
    assert asked[2:] == [clinic.pk]
    assert Signal.objects.count() == 1


def test_a_look_that_fails_writes_nothing_and_is_taken_up_again(
    bad_lot: None, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(SignalLook, "objects", None)
        with pytest.raises(AttributeError):
            raise_now(clinic)
    assert not Signal.objects.exists()
    assert not WorkItem.objects.exists()
    assert list(raising.clinics_to_look_at(now=timezone.now())) == [clinic]
    assert raise_now(clinic) == 1


def hide_small_groups(clinic: Clinic, least: int) -> None:
    clinic.least_patients = least
    clinic.save(update_fields=["least_patients"])


def shown_of(client: Client, signal: Signal) -> str:
    return " ".join(words_of(client.get(address)) for address in (SIGNALS, f"{SIGNALS}{signal.pk}/", WORKLIST))


def test_a_small_group_is_told_neither_by_figures_nor_by_a_list(
    client: Client, bad_lot: None, clinic: Clinic, administrator: User
) -> None:
    hide_small_groups(clinic, 9)
    assert raise_now(clinic) == 1
    signal = Signal.objects.get()
    client.force_login(administrator)
    shown = shown_of(client, signal)
    assert "Lot SYN-BAD of Privigen" in shown
    assert "a group of fewer than 9 patients" in shown
    assert "to compare with" not in shown, "the sizes of what cannot be watched yet"
    for told in ("5 reactions", "8 infusions", "of 30", "of the 5 reactions", "None that counts"):
        assert told not in shown, told
    decide(signal, administrator)
    assert "5 reactions" not in shown_of(client, signal)


def test_large_groups_are_told_though_small_ones_are_hidden(
    client: Client, bad_lot: None, clinic: Clinic, administrator: User
) -> None:
    hide_small_groups(clinic, 8)
    raise_now(clinic)
    client.force_login(administrator)
    assert "5 reactions in 8 infusions" in shown_of(client, Signal.objects.get())


def test_what_is_left_of_the_product_is_no_small_group_either(
    client: Client, bad_lot: None, clinic: Clinic, administrator: User
) -> None:
    give(clinic, "SYN-FEW", 0, 3)
    hide_small_groups(clinic, 8)
    raise_now(clinic)
    client.force_login(administrator)
    assert "5 reactions" not in shown_of(client, Signal.objects.get()), (
        "Privigen less both large lots is three patients"
    )
    give(clinic, "SYN-FEW", 0, 5)
    raise_now(clinic)
    assert "5 reactions in 8 infusions" in shown_of(client, Signal.objects.get())


def test_a_rule_that_was_set_after_the_look_hides_until_the_next(
    client: Client, bad_lot: None, clinic: Clinic, administrator: User
) -> None:
    raise_now(clinic)
    hide_small_groups(clinic, 5)
    client.force_login(administrator)
    assert "5 reactions" not in shown_of(client, Signal.objects.get())
    raise_now(clinic)
    assert "5 reactions in 8 infusions" in shown_of(client, Signal.objects.get())


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_raise_it_once(bad_lot: None, clinic: Clinic) -> None:
    acts: list[Callable[[], Any]] = [partial(raise_now, Clinic.objects.get(pk=clinic.pk)) for _ in range(3)]
    assert sorted(at_once(*acts)) == [0, 0, 1]
    assert Signal.objects.count() == WorkItem.objects.count() == OutboxMessage.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_decisions_at_once_are_both_kept_and_one_form_sent_twice_is_one(
    clinic: Clinic, administrator: User
) -> None:
    signal, submission = make_signal(clinic), uuid4()
    acts: list[Callable[[], Any]] = [partial(decide, signal, administrator, submission=submission) for _ in range(2)]
    results = at_once(*acts, partial(decide, signal, administrator, words="Another"))
    assert [result for result in results if isinstance(result, Exception)] == []
    assert results[0] == results[1] != results[2]
    assert SignalDecision.objects.count() == 2
