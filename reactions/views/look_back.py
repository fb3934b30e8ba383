"""Who got a lot, what came of it, and who is booked next: composed for the page of the look-back.

A lot is told apart by its text, however its letters are written, and by the product's name: two makers may use one
text, and a product whose label changed is still the same product.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import Count, F, Max, Min, Prefetch, Q, QuerySet
from django.db.models.functions import Upper

from patients.models import User
from reactions.models import Course, Infusion, Reaction, Vial
from reactions.models.infusion import InfusionQuerySet
from reactions.vocabulary import ReactionRecord
from reactions.words import OnsetInWords, onset_in_words

INFUSIONS_A_PAGE = 25
MOST_LOTS = 50
RECENT = timedelta(days=30)
RECENT_LOTS = 12


@dataclass(frozen=True)
class Lot:
    """A lot of a product, as a search finds it. `infusions` counts none that is void."""

    lot: str
    product: str
    infusions: int
    last_at: datetime


@dataclass(frozen=True)
class Totals:
    """What the lot comes to, without what is void. `unknown` are infusions of which nobody said if there was one."""

    patients: int
    infusions: int
    with_reaction: int
    seen: int
    unknown: int


@dataclass(frozen=True)
class Given:
    """One infusion with the lot."""

    infusion: Infusion
    day: date
    vials: int
    grams: Decimal | None
    reactions: list[tuple[Reaction, OnsetInWords | None]]
    next_course: Course | None

    @property
    def is_void(self) -> bool:
        return self.infusion.is_void or self.infusion.patient.is_void

    @property
    def amount(self) -> str:
        """“20 g in 2 vials”; without the grams where one of the vials has none."""
        vials = f"{self.vials} {'vial' if self.vials == 1 else 'vials'}"
        return f"{vials}, grams not recorded" if self.grams is None else f"{self.grams.normalize():f} g in {vials}"


def lots_called(user: User, text: str) -> list[Lot]:
    """The lots with this text: one for each product that has it."""
    return _grouped(Vial.objects.visible_to(user).of_lot(text), most=MOST_LOTS)


def lots_like(user: User, text: str) -> list[Lot]:
    """The lots that begin like this."""
    return _grouped(Vial.objects.visible_to(user).of_lots_like(text), most=MOST_LOTS)


def lots_of_late(user: User, now: datetime) -> list[Lot]:
    """The lots given in the last weeks, the latest first."""
    vials = Vial.objects.visible_to(user).filter(infusion__started_at__gte=now - RECENT, infusion__voided_at=None)
    return _grouped(vials, most=RECENT_LOTS, order="-last_at")


def page_of(infusions: InfusionQuerySet, lot: str, number: str | None, today: date) -> tuple[Page, list[Given]]:
    """A page of the infusions with all that is said of them, the latest first, in a fixed number of queries."""
    reactions = Reaction.objects.current().prefetch_related("symptoms")
    rows = infusions.select_related("patient__clinic", "product").prefetch_related(
        Prefetch("vials", Vial.objects.of_lot(lot), to_attr="of_lot"),
        Prefetch("reactions", reactions.order_by(F("onset_at").asc(nulls_last=True), "pk")),
        Prefetch("patient__courses", Course.objects.booked(today), to_attr="booked_courses"),
    )
    page = Paginator(rows.order_by("-started_at", "-pk"), INFUSIONS_A_PAGE).get_page(number)
    return page, [_given(infusion) for infusion in page.object_list]


def totals(infusions: InfusionQuerySet) -> Totals:
    """Patients, infusions, and of these how many had a reaction; one query."""
    numbers = (
        infusions.counted()
        .with_reacted()
        .aggregate(
            patients=Count("patient", distinct=True),
            infusions=Count("pk"),
            with_reaction=Count("pk", filter=Q(reacted=True)),
            seen=Count("pk", filter=Q(reacted=False, reaction_record=ReactionRecord.SEEN)),
            unknown=Count("pk", filter=Q(reacted=False, reaction_record=ReactionRecord.NOT_RECORDED)),
        )
    )
    return Totals(**numbers)


def _grouped(vials: QuerySet[Vial], *, most: int, order: str = "upper_text") -> list[Lot]:
    counted = Q(infusion__voided_at=None, infusion__patient__voided_at=None)
    groups = (
        vials.annotate(upper_text=Upper("lot"))
        .values("upper_text", "infusion__product__name")
        .annotate(
            text=Min("lot"),
            infusions=Count("infusion", distinct=True, filter=counted),
            last_at=Max("infusion__started_at"),
        )
        .order_by(order, "upper_text", "infusion__product__name")
    )
    return [
        Lot(group["text"], group["infusion__product__name"], group["infusions"], group["last_at"])
        for group in groups[:most]
    ]


def _given(infusion: Any) -> Given:
    grams = [vial.grams for vial in infusion.of_lot]
    booked = infusion.patient.booked_courses
    return Given(
        infusion=infusion,
        day=infusion.started_at.astimezone(infusion.zone).date(),
        vials=len(grams),
        grams=None if None in grams else sum(grams, Decimal(0)),
        reactions=[(reaction, onset_in_words(reaction, infusion)) for reaction in infusion.reactions.all()],
        next_course=booked[0] if booked else None,
    )
