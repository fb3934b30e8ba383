"""Raising signals: what a look finds becomes a signal once, with one item on the administrators' worklist."""

from datetime import datetime
from typing import Any

from django.db import transaction

from patients.models import Clinic, write_event
from reactions import worklist
from reactions.models import Signal, SignalDecision, SignalLook
from reactions.rates.signal_rows import look, name_of
from reactions.rates.signals import Finding, came_again


def raise_signals(clinic: Clinic, *, now: datetime) -> int:
    """Look at the clinic, bring its open signals up to date and raise what is new. Returns how many were raised.

    What was decided is raised again only when clearly more came since (signals.came_again). What does not stand out any
    more stays until somebody decides.
    """
    seen = look(clinic, now=now)
    with transaction.atomic():
        # One worker after the other: what one has raised, and what was decided of it meanwhile, the next one sees.
        Clinic.objects.select_for_update(no_key=True).get(pk=clinic.pk)
        is_open = {_identity(signal): signal for signal in Signal.objects.filter(clinic=clinic).open()}
        decided = _last_decisions(clinic)
        raised, found = 0, set()
        for finding in seen.findings:
            identity = _identity_of(finding)
            if identity in is_open:
                found.add(is_open[identity].pk)
                Signal.objects.filter(pk=is_open[identity].pk).update(**_figures(finding), found_at=now)
            elif identity not in decided or came_again(finding, *decided[identity]):
                _raise(clinic, finding, now)
                raised += 1
        Signal.objects.filter(pk__in=found).update(stands_out=True)
        Signal.objects.filter(pk__in=[one.pk for one in is_open.values() if one.pk not in found]).update(
            stands_out=False
        )
        told = {
            "looked_at": now,
            "infusions": seen.infusions,
            "lots": seen.lots,
            "watched": list(seen.watched),
            "unwatched": list(seen.unwatched),
        }
        SignalLook.objects.update_or_create(clinic=clinic, defaults=told)
    return raised


def _raise(clinic: Clinic, finding: Finding, now: datetime) -> None:
    identity = dict(zip(Signal.IDENTITY[1:], _identity_of(finding), strict=True))
    about = {"clinic": clinic, "what": name_of(finding.subject), "raised_at": now, "found_at": now}
    signal = Signal.objects.create(**about, **identity, **_figures(finding))
    worklist.follow_signal(signal, now=now)
    changes = {"what": [None, signal.what], "words": [None, signal.words]}
    write_event("signal.raised", by=None, about=signal, clinic=clinic, changes=changes)


def _figures(finding: Finding) -> dict[str, Any]:
    """Columns of Signal that a look brings up to date."""
    names = ("observed", "total", "patients", "expected", "first_at", "last_at", "events", "infusions")
    texts = ("words", "compared_with", "method", "false_alarm")
    return {name: getattr(finding, name) for name in (*names, *texts)} | {"checks": list(finding.checks)}


def _identity_of(finding: Finding) -> tuple[str, ...]:
    subject = finding.subject
    return (str(subject.kind), subject.product, subject.lot, subject.setting, finding.period)


def _identity(signal: Signal) -> tuple[str, ...]:
    return (signal.kind, signal.product, signal.lot, signal.setting, signal.period)


def _last_decisions(clinic: Clinic) -> dict[tuple[str, ...], tuple[int, int]]:
    """Of each identity that was ever decided about: (events, infusions) at its latest decision."""
    decisions = SignalDecision.objects.filter(signal__clinic=clinic).select_related("signal")
    return {_identity(one.signal): (one.events, one.infusions) for one in decisions.order_by("decided_at", "pk")}
