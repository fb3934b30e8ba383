"""What the page of a running infusion shows: composed here, so that the template only lays it out."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.http import HttpRequest

from reactions import safety
from reactions.clinical.flow import Summary, next_reasons, rate_at_onset, summarise, volume_at
from reactions.clinical.infusion_checks import VIAL_TOLERANCE_G
from reactions.clinical.safety_card import CardItem
from reactions.clinical.vitals_schedule import VitalsPlan, due, unlikely_vitals
from reactions.models import ClinicProtocol, Infusion, RateStep, Reaction, Treatment, Vitals
from reactions.vocabulary import RateReason


@dataclass(frozen=True)
class AtOnset:
    """What was running when a reaction began."""

    reaction: Reaction
    rate_ml_per_h: Decimal | None
    volume_ml: Decimal | None


@dataclass(frozen=True)
class Running:
    """An infusion at a moment: what ran, what was measured, what is due, what can be done next."""

    infusion: Infusion
    now: datetime
    steps: list[RateStep]
    vitals: list[Vitals]
    treatments: list[Treatment]
    summary: Summary | None
    plan: VitalsPlan
    vial_grams: Decimal | None
    can: frozenset[RateReason]
    onsets: list[AtOnset]

    @property
    def is_over(self) -> bool:
        return self.infusion.ended_at is not None

    @property
    def last_step(self) -> RateStep | None:
        return self.steps[-1] if self.steps else None

    @property
    def is_paused(self) -> bool:
        return bool(self.last_step and self.last_step.reason == RateReason.PAUSE)

    @property
    def can_set_rate(self) -> bool:
        return bool(self.can & {RateReason.START, RateReason.STEP_UP, RateReason.RESUME})

    @property
    def vials_differ(self) -> bool:
        """The vials hold another amount than the dose."""
        return self.vial_grams is not None and abs(self.vial_grams - self.infusion.dose_g) > VIAL_TOLERANCE_G

    @property
    def above_plan(self) -> bool:
        """The rate is above the highest that was planned."""
        planned = self.infusion.planned_rate_ml_per_h
        return bool(planned and self.summary and self.summary.current_rate_ml_per_h > planned)

    @property
    def above_label(self) -> CardItem | None:
        """The caution about the rate that runs now, when it is above the label's maximum; at most two queries."""
        if self.is_over or not self.summary:
            return None
        return safety.above_label(self.infusion, self.summary.current_rate_ml_per_h)

    def unusual(self) -> list[str]:
        """What is worth a second look in the newest vital signs."""
        return unlikely_vitals(self.vitals[-1].as_dict()) if self.vitals else []


def running(infusion: Infusion, now: datetime) -> Running:
    """Compose the page from an infusion with its rows prefetched, in a fixed number of queries."""
    steps = _current(infusion.rate_steps.all())
    vitals = _current(infusion.vitals.all())
    treatments = _current(infusion.treatments.all())
    until = infusion.ended_at or now
    pure = [step.as_step() for step in steps]
    summary = None
    if pure:
        summary = summarise(
            pure,
            dose_g=infusion.dose_g,
            weight_kg=infusion.weight_kg,
            concentration_percent=infusion.product.concentration_percent,
            until=until,
        )
    grams = [vial.grams for vial in infusion.vials.all()]
    changes = [step.at for step in steps if step.reason in {RateReason.STEP_UP, RateReason.RESUME, RateReason.SLOW}]
    return Running(
        infusion=infusion,
        now=now,
        steps=steps,
        vitals=vitals,
        treatments=treatments,
        summary=summary,
        plan=due(
            ClinicProtocol.of(infusion.clinic).schedule(),
            infusion.started_at,
            infusion.ended_at,
            changes,
            [row.at for row in vitals],
            now,
            late_baseline=True,
        ),
        vial_grams=sum((g for g in grams if g is not None), Decimal(0)) if grams and None not in grams else None,
        can=frozenset(next_reasons(RateReason(steps[-1].reason) if steps else None)),
        onsets=[at_onset(reaction, infusion, pure) for reaction in infusion.reactions.all() if not reaction.is_void],
    )


def at_onset(reaction: Reaction, infusion: Infusion, steps: list[Any]) -> AtOnset:
    """Rate and volume at the onset; None where no steps or no onset were recorded."""
    if not steps or reaction.onset_at is None:
        return AtOnset(reaction, None, None)
    return AtOnset(
        reaction,
        rate_at_onset(steps, reaction.onset_at, infusion.ended_at),
        volume_at(steps, reaction.onset_at, infusion.ended_at),
    )


def _current(rows: Any) -> list[Any]:
    return sorted((row for row in rows if not row.is_void), key=lambda row: (row.at, row.pk))


def warn_above_label(request: HttpRequest, infusion: Infusion, rate_ml_per_h: Decimal | None) -> None:
    """Say of a rate that was saved that it is above the label's maximum."""
    if rate_ml_per_h and (item := safety.above_label(infusion, rate_ml_per_h)):
        messages.warning(request, f"Saved; please check: {item.text} {item.source}.")
