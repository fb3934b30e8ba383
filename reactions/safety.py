"""The safety card of an infusion: from rows to facts, what of it needs an answer, and the reactions behind it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zlib import crc32

from django.db.models import Max, Sum

from patients.clock import age_on
from patients.iga import Status
from patients.models import IgaResult, Patient
from patients.words import AntiIga
from reactions.clinical.flow import rate_at_onset
from reactions.clinical.label_rate import LabelRate, RateRule, label_rate
from reactions.clinical.risk_factors import RiskFactor, is_at_risk, with_age
from reactions.clinical.safety_card import CardCode, CardFacts, CardItem, Level, PastReaction, card, risk_factors
from reactions.clinical.safety_card import above_label as rate_above_label
from reactions.models import Infusion, Reaction, SafetyCheck
from reactions.vocabulary import HistoryFact, Indication

# How many earlier reactions the card lists; the rest are on the timeline.
LISTED = 10
# Symptoms that stay where the needle is: an earlier reaction of these alone is not a systemic one.
INFUSION_SITE_TERMS = frozenset({"infusion_site_extravasation", "injection_site_reaction", "phlebitis"})


# Whoever changes the dose after reading about it reads again.
FOLLOW_FROM_THE_PLAN = frozenset(
    {CardCode.DOSE_HIGH, CardCode.DOSE_LOW, CardCode.RATE_ABOVE_LABEL, CardCode.PRODUCT_SWITCH}
)
COMMON_REASONS = (
    "Known, discussed with the prescriber, closely watched",
    "Benefit outweighs the risk, as the prescriber decided",
)


@dataclass(frozen=True)
class EarlierReaction:
    """One line of the card: what happened then, and under which circumstances. Rates are mL/h."""

    reaction: Reaction
    minutes_to_onset: int | None
    rate_ml_per_h: Decimal | None
    lots: tuple[str, ...]
    premedication: tuple[str, ...] | None

    @property
    def anaphylaxis_criteria(self) -> list[str]:
        """The published criteria of anaphylaxis that it meets, such as C1."""
        return _criteria_met(self.reaction)


def card_before(infusion: Infusion, *, now: datetime) -> tuple[CardItem, ...]:
    """The card of an infusion that need not be saved yet, in a fixed number of queries.

    It needs a patient; what else is not filled in is not checked, and the card says so.
    """
    return card(facts_before(infusion, now=now))


def facts_before(infusion: Infusion, *, now: datetime) -> CardFacts:
    """What is known before the infusion: earlier infusions and reactions, IgA in force, noted risks, the plan."""
    patient, starts = infusion.patient, infusion.started_at or now
    day = starts.astimezone(patient.clinic.zone).date()
    earlier = Infusion.objects.current().filter(patient=patient, started_at__lt=starts).exclude(pk=infusion.pk)
    last = earlier.select_related("product").order_by("-started_at").first()
    iga = IgaResult.objects.in_force_on(day).filter(patient=patient).first()
    noted = set(patient.risks.current().values_list("factor", flat=True))
    weight, product = infusion.weight_kg, infusion.product if infusion.product_id else None
    facts = CardFacts(
        iga_status=Status(iga.status) if iga else Status.NOT_TESTED,
        anti_iga=AntiIga(iga.anti_iga) if iga else AntiIga.NOT_DONE,
        history_of_hypersensitivity=_hypersensitivity(noted),
        prior_severe_ig_reaction=HistoryFact.SEVERE_IG_REACTION in noted,
        past_reactions=tuple(_past(reaction) for reaction in _reactions_before(patient, starts, infusion)),
        days_since_last=(starts - last.started_at).days if last else None,
        last_product=last.product.name if last else None,
        product=product.name if product else None,
        age_years=age_on(day, patient.birth_date),
        risk_factors=_risk_factors(noted, infusion),
        grams=_course_grams(infusion),
        weight_kg=weight,
        planned_rate_ml_per_kg_h=_per_kg(infusion.planned_rate_ml_per_h, weight),
        label_max_ml_per_kg_h=None,
        running_since=_running_since(infusion, starts),
    )
    label = _label_rate(infusion, risk_factors(facts))
    return replace(facts, label_max_ml_per_kg_h=label.max_ml_per_kg_h if label else None, label=label)


def above_label(infusion: Infusion, rate_ml_per_h: Decimal) -> CardItem | None:
    """The card's caution about a rate while the infusion runs; None when it is not above the label's maximum.

    At most two queries, whatever the history.
    """
    if not rate_ml_per_h or not infusion.weight_kg:
        return None
    patient = infusion.patient
    noted = set(patient.risks.current().values_list("factor", flat=True))
    age = age_on(infusion.started_at.astimezone(patient.clinic.zone).date(), patient.birth_date)
    label = _label_rate(infusion, with_age(_risk_factors(noted, infusion), age))
    highest = label.max_ml_per_kg_h if label else None
    return rate_above_label(rate_ml_per_h, infusion.weight_kg, highest, label=label)


def earlier_reactions(patient: Patient, *, before: datetime, infusion: Infusion | None = None) -> list[EarlierReaction]:
    """The newest earlier reactions with what was going on then, in a fixed number of queries.

    Those to `infusion` itself are not earlier ones, wherever its start is moved to.
    """
    reactions = _reactions_before(patient, before, infusion)
    reactions = reactions.select_related("infusion__product", "infusion__patient__clinic")
    reactions = reactions.prefetch_related("infusion__vials", "infusion__premedications", "infusion__rate_steps")
    return [_in_its_time(reaction) for reaction in reactions[:LISTED]]


def noted_in_history(patient: Patient) -> list[str]:
    """What is noted of the patient's history with immune globulin, in words, with its note; one query.

    These are facts and not warnings. The card weighs them together with what else is known, so that a history of
    hypersensitivity alone has no line of its own there.
    """
    return [str(risk) for risk in patient.risks.current().filter(factor__in=[str(fact) for fact in HistoryFact])]


def usual_reasons(patient: Patient) -> list[str]:
    """Reasons to choose from: those given for this patient before, the newest first, then two that are common."""
    checks = SafetyCheck.objects.filter(infusion__patient=patient).exclude(reason="")
    given = checks.order_by("-shown_at").values_list("reason", flat=True)[:LISTED]
    return list(dict.fromkeys((*given, *COMMON_REASONS)))


def needs_answer(item: CardItem) -> bool:
    """A named person must say why the infusion goes on."""
    return item.level in {Level.CONTRAINDICATION, Level.CAUTION}


def says_something(text: str) -> bool:
    """There is a letter or a digit in it: blanks and invisible signs are no answer."""
    return any(sign.isalnum() for sign in text)


def mark(item: CardItem) -> str:
    """What a page sends back of an item that it showed: its code, and its words where what was typed changes them."""
    return _mark(str(item.code), item.text)


def _mark(code: str, text: str) -> str:
    return f"{code}:{crc32(text.encode()):08x}" if code in FOLLOW_FROM_THE_PLAN else code


def asked_by_correction(infusion: Infusion, before: Iterable[CardItem], after: Iterable[CardItem]) -> list[CardItem]:
    """What a correction brings onto the card of a recorded infusion and has to be answered; one query.

    `before` is the card of what is stored, `after` that of what it is corrected to, both as of now: what became known
    since the infusion stands on both and is not the correction's doing. What was answered for this infusion once, in
    the same words where the plan decides them, is not asked again.
    """
    known = {mark(item) for item in before}
    for items in infusion.safety_checks.values_list("items", flat=True):
        known |= {_mark(item["code"], item["text"]) for item in items}
    return [item for item in after if needs_answer(item) and mark(item) not in known]


def unanswered(items: Iterable[CardItem], *, reason: str, decided_by: str) -> tuple[CardItem, ...]:
    """The items that keep the infusion from being recorded: a reason for all, and who decided against a label."""
    if not says_something(reason):
        return tuple(item for item in items if needs_answer(item))
    if not says_something(decided_by):
        return tuple(item for item in items if item.level == Level.CONTRAINDICATION)
    return ()


def as_stored(item: CardItem) -> dict[str, str]:
    """The item as the infusion keeps it."""
    return {"code": str(item.code), "level": str(item.level), "text": item.text, "source": item.source}


def _reactions_before(patient: Patient, moment: datetime, infusion: Infusion | None) -> Any:
    reactions = Reaction.objects.counted().filter(infusion__patient=patient, infusion__started_at__lt=moment)
    if infusion and infusion.pk:
        # Its start may be corrected to a later one than is stored.
        reactions = reactions.exclude(infusion=infusion.pk)
    return reactions.select_related("anaphylaxis").prefetch_related("symptoms").order_by("-onset_at", "-pk")


def _past(reaction: Reaction) -> PastReaction:
    terms = {symptom.term for symptom in reaction.symptoms.all()}
    return PastReaction(
        worst_grade=reaction.max_grade,
        was_serious=reaction.is_serious,
        is_anaphylaxis=bool(_criteria_met(reaction)) or "anaphylaxis" in terms,
        is_infusion_site_only=bool(terms) and terms <= INFUSION_SITE_TERMS,
    )


def _criteria_met(reaction: Reaction) -> list[str]:
    record = getattr(reaction, "anaphylaxis", None)
    return record.criteria if record and not record.is_void else []


def _in_its_time(reaction: Reaction) -> EarlierReaction:
    infusion, onset = reaction.infusion, reaction.onset_at
    steps = [step.as_step() for step in infusion.rate_steps.all() if not step.is_void]
    drugs = tuple(drug.name for drug in infusion.premedications.all())
    return EarlierReaction(
        reaction=reaction,
        minutes_to_onset=int((onset - infusion.started_at) / timedelta(minutes=1)) if onset else None,
        rate_ml_per_h=rate_at_onset(steps, onset, infusion.ended_at) if steps and onset else None,
        lots=tuple(dict.fromkeys(vial.lot for vial in infusion.vials.all())),
        premedication=drugs if drugs or infusion.premedication_record == "none" else None,
    )


def _running_since(infusion: Infusion, starts: datetime) -> datetime | None:
    """Since when another infusion has been running that this one would overlap; of several the latest."""
    others = Infusion.objects.running().filter(patient=infusion.patient).exclude(pk=infusion.pk)
    if infusion.submission_id:
        # A form that was sent twice is no second infusion: what its first copy began is this one.
        others = others.exclude(submission_id=infusion.submission_id)
    begun: datetime | None = others.overlapping(starts, infusion.ended_at).aggregate(at=Max("started_at"))["at"]
    return begun.astimezone(infusion.zone) if begun else None


def _hypersensitivity(noted: set[str]) -> bool | None:
    if HistoryFact.HYPERSENSITIVITY in noted:
        return True
    return False if HistoryFact.NO_HYPERSENSITIVITY in noted else None


def _risk_factors(noted: set[str], infusion: Infusion) -> frozenset[RiskFactor]:
    factors = {RiskFactor(code) for code in noted if code in set(RiskFactor)}
    if infusion.indication == Indication.DERMATOMYOSITIS:
        factors.add(RiskFactor.DERMATOMYOSITIS)
    return frozenset(factors)


def _course_grams(infusion: Infusion) -> Decimal | None:
    """Grams of the whole course: as planned, or what was given with this dose on every day that is left."""
    if infusion.dose_g is None:
        return None
    course = infusion.course
    given = Decimal(0)
    if course.pk is not None:
        others = course.infusions.current().exclude(pk=infusion.pk)
        given = others.aggregate(grams=Sum("dose_g"))["grams"] or Decimal(0)
    if course.planned_g is not None:
        # A plan does not hide that more is given than was planned.
        return max(course.planned_g, given + infusion.dose_g)
    days_left = max(course.planned_days - infusion.day + 1, 1)
    return given + infusion.dose_g * days_left


def _label_rate(infusion: Infusion, factors: frozenset[RiskFactor]) -> LabelRate | None:
    if not infusion.product_id:
        return None
    rules = [
        RateRule(
            indication=rate.indication or None,
            start_ml_per_kg_h=rate.start_ml_per_kg_h,
            max_ml_per_kg_h=rate.max_ml_per_kg_h,
            at_risk_max_ml_per_kg_h=rate.at_risk_max_ml_per_kg_h,
        )
        for rate in infusion.product.rates.all()
    ]
    return label_rate(rules, indication=infusion.indication or None, at_risk=is_at_risk(factors))


def _per_kg(rate: Decimal | None, weight: Decimal | None) -> Decimal | None:
    return rate / weight if rate is not None and weight else None
