"""Raising signals: what a look finds becomes a signal once, with one item on the administrators' worklist."""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, Q, QuerySet

from patients.models import Clinic, write_event
from reactions import worklist
from reactions.models import Signal, SignalLook
from reactions.rates.signal_rows import Identity, look, name_of
from reactions.rates.signals import Decided, Finding, Subject, came_again
from reactions.vocabulary import SignalKind

LOOK_EVERY = timedelta(days=1)


def clinics_to_look_at(*, now: datetime) -> QuerySet[Clinic]:
    """Those at which nobody looked within a day."""
    return Clinic.objects.filter(Q(signal_look=None) | Q(signal_look__looked_at__lte=now - LOOK_EVERY))


def raise_signals(clinic: Clinic, *, now: datetime) -> int:
    """Look at the clinic, bring its open signals up to date and raise what is new. Returns how many were raised.

    What was decided is raised again only when clearly more came since (signals.came_again). What does not stand out any
    more stays until somebody decides. When another look or a decision came while this one was under way, nothing is
    done, and the next look, within minutes or a day, has it.
    """
    # To look takes seconds: outside the transaction, since on SQLite nobody else could save while it lasts.
    before, decided = _last_look(clinic), _decided(clinic)
    seen = look(clinic, now=now, decided=decided)
    with transaction.atomic():
        # One worker after the other: no figures are replaced by those of an earlier look.
        clinic = Clinic.objects.select_for_update(no_key=True).get(pk=clinic.pk)
        if (_last_look(clinic), _decided(clinic)) != (before, decided):
            return 0
        is_open = {_identity(signal): signal for signal in Signal.objects.filter(clinic=clinic).open()}
        raised, found = 0, set()
        for finding in seen.findings:
            identity, figures = (finding.subject, finding.period), _figures(finding)
            # The rule under which it was judged: one that is set meanwhile has not been applied to it.
            figures["least_patients"] = seen.least_patients if finding.subject in seen.apart else 0
            if identity in is_open:
                found.add(is_open[identity].pk)
                _follow(is_open[identity], figures, now)
            elif identity not in decided or came_again(finding, decided[identity]):
                _raise(clinic, finding, figures, now)
                raised += 1
        # Nobody looks at another year any more: that says nothing of it.
        looked_at = [signal for signal in is_open.values() if signal.period in {"", seen.year}]
        lost = [signal.pk for signal in looked_at if signal.pk not in found]
        standing = Signal.objects.open().filter(pk__in=lost, stands_out=True)
        standing.update(stands_out=False, version=F("version") + 1)
        told = {
            "looked_at": now,
            "infusions": seen.infusions,
            "lots": seen.lots,
            "watched": list(seen.watched),
            "unwatched": list(seen.unwatched),
        }
        SignalLook.objects.update_or_create(clinic=clinic, defaults=told)
    return raised


def _last_look(clinic: Clinic) -> datetime | None:
    return SignalLook.objects.filter(clinic=clinic).values_list("looked_at", flat=True).first()


def _follow(signal: Signal, figures: dict[str, Any], now: datetime) -> None:
    """Bring an open signal up to date, unless it was decided while the look was under way."""
    values = figures | {"stands_out": True}
    is_new = any(getattr(signal, name) != value for name, value in values.items())
    version = F("version") + int(is_new)
    Signal.objects.open().filter(pk=signal.pk).update(**values, found_at=now, version=version)


def _raise(clinic: Clinic, finding: Finding, figures: dict[str, Any], now: datetime) -> None:
    identity = asdict(finding.subject) | {"period": finding.period}
    about = {"clinic": clinic, "what": name_of(finding.subject), "raised_at": now, "found_at": now}
    signal = Signal.objects.create(**about, **identity, **figures)
    worklist.follow_signal(signal, now=now)
    write_event("signal.raised", by=None, about=signal, clinic=clinic, changes={"what": [None, signal.what]})


def _figures(finding: Finding) -> dict[str, Any]:
    """Columns of Signal that a look brings up to date."""
    names = ("observed", "total", "patients", "expected", "first_at", "last_at", "events", "infusions")
    texts = ("words", "compared_with", "method", "false_alarm")
    return {name: getattr(finding, name) for name in (*names, *texts)} | {
        name: list(getattr(finding, name)) for name in ("checks", "reacted")
    }


def _identity(signal: Signal) -> Identity:
    return Subject(SignalKind(signal.kind), signal.product, signal.lot, signal.setting), signal.period


def _decided(clinic: Clinic) -> dict[Identity, Decided]:
    """Of each identity that was ever decided about: what was known of it.

    A signal keeps its figures from its first decision on, so that a note added to an older one takes nothing back.
    """
    found: dict[Identity, Decided] = {}
    for signal in Signal.objects.filter(clinic=clinic).exclude(decided_at=None).order_by("found_at", "pk"):
        identity = _identity(signal)
        before = found[identity].reacted if identity in found else frozenset()
        found[identity] = Decided(at=signal.found_at, reacted=before | frozenset(signal.reacted))
    return found
