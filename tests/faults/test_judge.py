"""The judge can fail: made-up evidence that breaks one point, and is found at that point."""

from dataclasses import replace

import pytest

from tests.faults import judge
from tests.faults.__main__ import Tally, targets_of_round
from tests.faults.evidence import GENTLE, Acknowledged, CalledOff, CheckInRow, Copy, Evidence, Fault, Limits, Row

LIMITS = Limits(lease_s=8, tick_s=2, first_wait_s=1, mail_timeout_s=2)
FIRST = Copy(101.0, "<1>", "one@patients.example", "link-1")
KILL = Fault("worker", 102.0, 104.0)
IN_DOUBT = Row("<1>", "sent", 2, True, checkin=1)
SECOND = replace(FIRST, at=112.0)


def evidence(**changes: object) -> Evidence:
    """One check-in, due at 100 and open for two days, whose mail arrived a second later; `changes` replaces fields."""
    whole = Evidence(
        limits=LIMITS,
        ended_at=200.0,
        copies=[FIRST],
        rows=[Row("<1>", "sent", 1, False, checkin=1)],
        checkins=[CheckInRow(1, "sent", 100.0, 172_900.0, "link-1", "one@patients.example")],
        acknowledged=[Acknowledged("a", 4)],
        checkins_each=4,
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


def broken(found: Evidence) -> set[int]:
    """The numbers of the points that the evidence breaks."""
    return {int(point[0]) for point, look in judge.POINTS.items() if look(found)}


def test_a_round_in_which_all_went_well_breaks_nothing() -> None:
    assert broken(evidence()) == set()


def test_a_check_in_that_never_arrived_is_lost() -> None:
    planned = replace(evidence().checkins[0], state="missed")
    assert broken(evidence(copies=[], rows=[], checkins=[planned])) == {1}


@pytest.mark.parametrize(
    "excuse",
    [{"refused": frozenset({1})}, {"called_off": [CalledOff(1, "an answer", 99.0, 99.1)]}],
    ids=["its address is refused", "it was answered before"],
)
def test_what_nobody_wanted_or_could_deliver_is_not_lost(excuse: dict[str, object]) -> None:
    assert judge.lost(evidence(copies=[], **excuse)) == []


def test_a_window_too_short_for_a_recovery_may_pass_unsent_and_a_longer_one_may_not() -> None:
    checkin = evidence().checkins[0]
    short, long = replace(checkin, closes_at=106.0), replace(checkin, closes_at=120.0)
    assert judge.lost(evidence(copies=[], checkins=[short])) == []
    assert len(judge.lost(evidence(copies=[], checkins=[long]))) == 1


def test_a_second_copy_after_a_kill_is_explained_when_the_row_is_in_doubt() -> None:
    found = evidence(copies=[FIRST, SECOND], rows=[IN_DOUBT], faults=[KILL])
    assert broken(found) == set()
    assert judge.copies_by_target(found) == {"worker": 1}


def test_a_second_copy_whose_row_hides_the_doubt_is_found() -> None:
    assert broken(evidence(copies=[FIRST, SECOND], rows=[replace(IN_DOUBT, in_doubt=False)], faults=[KILL])) == {2}


@pytest.mark.parametrize("at", [98.5, 103.5], ids=["too early", "too late"])
def test_a_second_copy_far_from_every_kill_is_found(at: float) -> None:
    found = evidence(copies=[FIRST, SECOND], rows=[IN_DOUBT], faults=[replace(KILL, at=at, healed_at=at + 1)])
    assert broken(found) == {2}
    assert judge.copies_by_target(found) == {"unexplained": 1}


@pytest.mark.parametrize("kind", sorted(GENTLE))
def test_a_second_copy_near_nothing_but_a_gentle_fault_is_found(kind: str) -> None:
    found = evidence(copies=[FIRST, SECOND], rows=[IN_DOUBT], faults=[replace(KILL, kind=kind)])
    assert broken(found) == {2, 3}


def test_connections_that_were_ended_excuse_no_second_copy() -> None:
    found = evidence(copies=[FIRST, SECOND], rows=[IN_DOUBT], faults=[replace(KILL, kind="backends")])
    assert broken(found) == {2}


def test_a_process_that_was_stopped_may_send_what_it_held_when_it_goes_on() -> None:
    stop = Fault("stop", 90.0, 111.0)
    assert broken(evidence(copies=[FIRST, SECOND], rows=[IN_DOUBT], faults=[stop])) == set()
    long_ago = Fault("stop", 80.0, 98.0)
    assert broken(evidence(copies=[FIRST, SECOND], rows=[IN_DOUBT], faults=[long_ago])) == {2}


def test_a_server_that_kept_the_mail_in_silence_explains_one_copy_and_is_no_kill() -> None:
    dropped = replace(FIRST, answer="drop")
    found = evidence(copies=[dropped, SECOND], rows=[IN_DOUBT])
    assert broken(found) == set()
    assert judge.copies_by_target(found) == {"drop": 1}
    third = replace(FIRST, at=113.0)
    assert broken(evidence(copies=[dropped, SECOND, third], rows=[IN_DOUBT])) == {2}


def test_a_row_that_says_sent_without_an_accepted_copy_is_found() -> None:
    lonely = Row("<2>", "sent", 1, False)
    assert broken(evidence(rows=[*evidence().rows, lonely])) == {4}


def test_a_mail_after_the_answer_is_found_and_one_that_was_under_way_is_not() -> None:
    def answered(at: float) -> Evidence:
        return evidence(called_off=[CalledOff(1, "an answer", at - 0.1, at)])

    assert broken(answered(98.0)) == {5}
    assert broken(answered(99.5)) == set()
    assert broken(answered(105.0)) == set()


def test_a_mail_that_a_stopped_process_held_may_follow_the_answer() -> None:
    answered = CalledOff(1, "an answer", 90.0, 90.1)
    assert broken(evidence(called_off=[answered], faults=[Fault("stop", 89.0, 100.5)])) == set()
    assert broken(evidence(called_off=[answered], faults=[Fault("stop", 93.0, 100.5)])) == {5}


def test_a_second_copy_after_the_answer_is_found() -> None:
    answered = CalledOff(1, "an answer", 104.0, 104.1)
    found = evidence(copies=[FIRST, SECOND], rows=[IN_DOUBT], faults=[KILL], called_off=[answered])
    assert broken(found) == {5}


def test_a_mail_after_the_end_of_the_window_is_found() -> None:
    assert 5 in broken(evidence(checkins=[replace(evidence().checkins[0], closes_at=98.0)]))


@pytest.mark.parametrize("state", ["queued", "sending"])
def test_a_row_that_has_not_ended_is_found(state: str) -> None:
    assert broken(evidence(rows=[Row("<1>", state, 1, False, checkin=1)])) == {6}


def test_a_check_in_that_is_still_planned_is_found() -> None:
    assert broken(evidence(checkins=[replace(evidence().checkins[0], state="planned")])) == {6}


def test_tries_without_a_reason_are_found() -> None:
    tried = Row("<1>", "sent", 6, False, checkin=1)
    assert broken(evidence(rows=[tried])) == {6}
    outage = Fault("smtp", 80.0, 100.0)
    assert broken(evidence(rows=[tried], faults=[outage])) == set()


def test_a_mail_that_waited_with_nothing_broken_is_found() -> None:
    assert broken(evidence(copies=[replace(FIRST, at=112.9)])) == set()
    assert broken(evidence(copies=[replace(FIRST, at=113.1)])) == {7}


def test_a_mail_that_was_put_off_twice_may_wait_for_its_third_try() -> None:
    # 8 s of lease, three ticks of 2 s, waits of 1.2 and 2.4 s, and 3 s for a busy machine.
    put_off = [Row("<1>", "sent", 3, False, checkin=1)]
    assert broken(evidence(copies=[replace(FIRST, at=120.5)], rows=put_off)) == set()
    assert broken(evidence(copies=[replace(FIRST, at=120.7)], rows=put_off)) == {7}


def test_nothing_waits_before_its_infusion_is_recorded() -> None:
    written_down_late = replace(evidence().checkins[0], recorded_at=120.0)
    late = replace(FIRST, at=132.9)
    assert broken(evidence(copies=[late], checkins=[written_down_late])) == set()
    assert broken(evidence(copies=[replace(late, at=133.1)], checkins=[written_down_late])) == {7}


def test_time_in_which_something_was_broken_is_no_waiting() -> None:
    late = replace(FIRST, at=130.0)
    assert broken(evidence(copies=[late], faults=[Fault("broker", 99.0, 120.0)])) == set()
    assert broken(evidence(copies=[late], faults=[Fault("broker", 99.0, 101.0)])) == {7}


def test_the_recovery_of_a_fault_lasts_until_all_that_was_due_has_arrived() -> None:
    late = replace(FIRST, at=130.0)
    assert judge.recoveries(evidence(copies=[late], faults=[Fault("broker", 99.0, 120.0)])) == [10.0]
    assert judge.recoveries(evidence(faults=[Fault("broker", 150.0, 160.0)])) == [0.0]


def test_a_copy_with_another_link_or_reader_or_an_unknown_message_id_is_found() -> None:
    for other in (
        replace(FIRST, link="link-2"),
        replace(FIRST, recipient="two@patients.example"),
        replace(FIRST, message_id="<9>"),
    ):
        assert 8 in broken(evidence(copies=[FIRST, other]))


@pytest.mark.parametrize("checkins", [None, 0, 3], ids=["no infusion", "no check-ins", "not all of them"])
def test_an_acknowledged_infusion_without_its_check_ins_is_found(checkins: int | None) -> None:
    assert broken(evidence(acknowledged=[Acknowledged("a", checkins)])) == {9}


def test_ten_copies_in_a_hundred_kills_are_too_many_and_fewer_are_not() -> None:
    def tally(copies: int) -> Tally:
        found = Tally()
        found.faults.update({"worker": 60, "stop": 40, "beat": 300})
        found.copies.update({"worker": copies, "drop": 50})
        return found

    assert not tally(10).holds
    assert tally(9).holds


def test_a_finding_of_any_point_makes_the_run_fail_and_is_shown() -> None:
    tally = Tally()
    tally.add(1, evidence())
    assert tally.holds
    tally.add(2, evidence(rows=[*evidence().rows, Row("<2>", "sent", 1, False)]))
    assert not tally.holds
    assert "round 2: <2> is called sent, and no copy was accepted" in tally.report()


def test_every_fourth_round_has_nothing_that_could_excuse_a_second_copy() -> None:
    assert set(targets_of_round(4, 8, [], "postgres")) == GENTLE
    assert set(targets_of_round(4, 8, [], "sqlite")) == GENTLE - {"clock"}
    assert {"worker", "postgres"} <= set(targets_of_round(3, 8, [], "postgres"))
    assert "postgres" not in targets_of_round(1, 8, [], "sqlite")
    assert targets_of_round(4, 8, ["worker"], "sqlite") == ["worker"]
