"""Who else got the lots of an infusion, when, and what came of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from reactions.models import Infusion, Reaction, Vial

DAYS_BACK = 90
# What one page lists; the rest is counted.
LISTED = 50


@dataclass(frozen=True)
class SameLot:
    """An infusion of another patient with a lot in common."""

    infusion: Infusion
    lots: tuple[str, ...]
    reactions: tuple[Reaction, ...]


@dataclass(frozen=True)
class SameLots:
    """What was found since a moment. `lots` are those of the infusion itself; none were recorded when empty."""

    lots: tuple[str, ...]
    since: datetime
    found: tuple[SameLot, ...]
    more: int


def same_lots(infusion: Infusion) -> SameLots:
    """Infusions of the clinic's other patients since 90 days before this one, in a fixed number of queries.

    The product is told by its name, whatever version of its label an infusion was given under.
    """
    lots = _lots(vial.lot for vial in infusion.vials.all())
    since = infusion.started_at - timedelta(days=DAYS_BACK)
    if not lots:
        return SameLots((), since, (), 0)
    others = Infusion.objects.current().filter(
        patient__clinic=infusion.patient.clinic_id,
        patient__voided_at=None,
        product__name=infusion.product.name,
        pk__in=Vial.objects.of_lots(lots).values("infusion"),
        started_at__gte=since,
    )
    rows = others.exclude(patient=infusion.patient_id).distinct().order_by("-started_at")
    listed = rows.select_related("patient", "product").prefetch_related("vials", "reactions__symptoms")[:LISTED]
    found = tuple(_same_lot(other, {lot.upper() for lot in lots}) for other in listed)
    return SameLots(lots, since, found, rows.count() - len(found))


def _same_lot(other: Infusion, lots: set[str]) -> SameLot:
    shared = _lots(vial.lot for vial in other.vials.all() if vial.lot.upper() in lots)
    return SameLot(other, shared, tuple(reaction for reaction in other.reactions.all() if not reaction.is_void))


def _lots(lots: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(lots))
