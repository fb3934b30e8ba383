"""A made-up clinic of any size: the rows of an infusion log, visibly synthetic, the same for the same seed.

Shares are chosen to look like practice, none is a finding: onset mostly 10 to 240 minutes after the start (PMID
25257732) with a part of delayed headaches (PMC2083046); first infusions react more often, some patients more than
others; premedication mostly goes to those who reacted before. IgA deficiency is rarer in life than here (1 in 100 to
1 in 1,000, Merck Manual): a demonstration needs a few. One lot is made worse than the others, and is called ODD.
"""

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from patients.iga import Reading
from patients.words import AntiIga, Sex
from reactions.clinical.ctcae import V5, grades
from reactions.exchange.log_cells import DrugCell, LotCell, SymptomCell
from reactions.exchange.log_rows import LogRow
from reactions.vocabulary import Outcome, PremedicationRecord, ReactionRecord, Setting

TREES = (
    "Alder",
    "Birch",
    "Cedar",
    "Dogwood",
    "Elm",
    "Fir",
    "Hazel",
    "Juniper",
    "Larch",
    "Maple",
    "Oak",
    "Pine",
    "Rowan",
)
GIVEN_NAMES = ("Synthia", "Demo", "Testa", "Sample", "Fable", "Mocka", "Proxy", "Exa")
DIAGNOSES = ("Dermatomyositis", "Polymyositis", "Immune-mediated necrotizing myopathy", "Antisynthetase syndrome")
PRODUCTS = ("Octagam 10 %", "Privigen", "Gamunex-C", "Gammagard Liquid", "Panzyga")
# The product whose lot of three months ago stands out, and how many times as often it is followed by a reaction.
ODD_PRODUCT, ODD_FACTOR = PRODUCTS[4], 4.0
VIAL_GRAMS = (Decimal(20), Decimal(10), Decimal(5))
# Commonest terms of published series, with weights.
TERMS = {
    "headache": 30,
    "chills": 14,
    "fever": 10,
    "fatigue": 9,
    "nausea": 9,
    "myalgia": 7,
    "urticaria": 6,
    "flushing": 5,
    "hypertension": 4,
    "back_pain": 3,
    "vomiting": 2,
    "dyspnea": 1,
}
GRADE_WEIGHTS = {1: 60, 2: 30, 3: 9, 4: 1, 5: 0}
ACETAMINOPHEN = DrugCell("acetaminophen", "", "650 mg", "PO", 30)
DIPHENHYDRAMINE = DrugCell("diphenhydramine", "", "25 mg", "PO", 30)
HYDROCORTISONE = DrugCell("hydrocortisone", "", "100 mg", "IV", 20)
FAMOTIDINE = DrugCell("famotidine", "", "20 mg", "PO", 30)
IGA_SHARES: dict[str, int] = {
    "": 25,
    "normal": 62,
    "partial": 4,
    "deficient": 2,
    "indeterminate": 3,
    "above": 3,
    "pending": 1,
}


def demo_rows(
    *, patients: int, infusions: int, seed: int, zone: ZoneInfo, today: date, years: int = 0
) -> Iterator[LogRow]:
    """The rows, patient by patient and each in order of time, none later than the day before `today`.

    Every patient has at least one infusion while there are enough; `line` counts the rows. Treatments go on until
    today, or end at some day of the last `years`.
    """
    line = 0
    for number in range(patients):
        count = infusions // patients + (number < infusions % patients)
        # A generator of its own for each patient: the first hundred are the same whatever the number asked for.
        person = _Person(random.Random(f"{seed}-{number}"), number, zone)  # noqa: S311
        for row in person.infusions(count, today, years):
            line += 1
            row.line = line
            yield row


class _Person:
    """One made-up patient and what becomes of them."""

    def __init__(self, chance: random.Random, number: int, zone: ZoneInfo) -> None:
        self.chance, self.number, self.zone = chance, number, zone
        self.product = chance.choice(PRODUCTS)
        self.weight = Decimal(chance.randrange(480, 1050)) / 10
        self.days = chance.choice((2, 2, 2, 4, 5))
        self.proneness = chance.gammavariate(1.2, 0.055)
        self.has_reacted = False
        self.iga = chance.choices(list(IGA_SHARES), list(IGA_SHARES.values()))[0]
        self.born = date(1945, 1, 1) + timedelta(days=chance.randrange(23_000))
        self.sex = chance.choice((Sex.FEMALE, Sex.FEMALE, Sex.MALE))
        self.diagnosis = chance.choice(DIAGNOSES)

    def infusions(self, count: int, today: date, years: int) -> Iterator[LogRow]:
        courses = -(-count // self.days)
        last_course = today - timedelta(days=self.days + 1 + self.chance.randrange(28 + 365 * years))
        first_day = last_course - timedelta(days=28 * (courses - 1))
        for index in range(count):
            course, day = divmod(index, self.days)
            on = first_day + timedelta(days=28 * course + day)
            is_odd = self.product == ODD_PRODUCT and _quarter(on) == _quarter(today - timedelta(days=91))
            yield self.infusion(on, course + 1, day + 1, is_first=index == 0, is_odd=is_odd)

    def infusion(self, day: date, course: int, day_of_course: int, *, is_first: bool, is_odd: bool) -> LogRow:
        chance = self.chance
        started = datetime.combine(day, time(8 + chance.randrange(5), chance.randrange(60)), self.zone)
        started = started.astimezone(UTC)
        dose = Decimal(max(1, round(float(self.weight) * (2 if course <= 6 else 1) / self.days / 5))) * 5
        row = LogRow(
            line=0,
            patient=f"DEMO-{self.number:06}",
            product=self.product,
            dose_g=dose,
            started_at=started,
            ended_at=started + timedelta(minutes=150 + chance.randrange(210)),
            given_name=GIVEN_NAMES[self.number % len(GIVEN_NAMES)],
            family_name=f"Synthetic {TREES[self.number % len(TREES)]} {self.number:04}",
            birth_date=self.born,
            sex=self.sex,
            email=f"demo.patient.{self.number:06}@example.org",
            diagnosis=self.diagnosis,
            course=str(course),
            day=day_of_course,
            days=self.days,
            setting=chance.choices((Setting.CLINIC, Setting.HOSPITAL, Setting.HOME), (80, 12, 8))[0],
            weight_kg=self.weight,
            lots=self.lots(day, dose, is_odd),
        )
        if is_first:
            self.test_iga(row, day)
        self.premedicate(row)
        self.react(row, (2.2 if is_first else 1) * (ODD_FACTOR if is_odd else 1))
        return row

    def lots(self, day: date, dose: Decimal, is_odd: bool) -> tuple[LotCell, ...]:
        """Vials that add up to the dose, of the lot that its product had in that quarter."""
        lot = f"DEMO{PRODUCTS.index(self.product)}{_quarter(day)}{'ODD' if is_odd else 'ABC'[self.number % 3]}"
        vials, left = [], dose
        for grams in VIAL_GRAMS:
            while left >= grams:
                vials.append(LotCell(lot, date(day.year + 2, 6, 30), grams))
                left -= grams
        return tuple(vials)

    def test_iga(self, row: LogRow, day: date) -> None:
        chance = self.chance
        results = {
            "normal": ("", Decimal(chance.randrange(80, 390))),
            "partial": ("", Decimal(chance.randrange(10, 65))),
            "deficient": ("<", Decimal(7)),
            "indeterminate": ("<", Decimal(25)),
            "above": ("", Decimal(chance.randrange(410, 600))),
        }
        row.iga_pending = self.iga == "pending"
        if self.iga in results:
            comparator, value = results[self.iga]
            row.iga = Reading(comparator, value, "mg/dL")
            row.iga_date = day - timedelta(days=chance.randrange(1, 60))
        if self.iga == "deficient":
            row.anti_iga = chance.choice((AntiIga.NOT_DONE, AntiIga.NEGATIVE, AntiIga.POSITIVE))

    def premedicate(self, row: LogRow) -> None:
        chance = self.chance
        if chance.random() < 0.06:
            return
        if chance.random() < (0.75 if self.has_reacted else 0.2):
            row.premedication_record = PremedicationRecord.GIVEN
            mixes: Sequence[tuple[DrugCell, ...]] = (
                (ACETAMINOPHEN,),
                (ACETAMINOPHEN, DIPHENHYDRAMINE),
                (ACETAMINOPHEN, DIPHENHYDRAMINE, HYDROCORTISONE),
                (FAMOTIDINE,),
            )
            row.premedications = chance.choices(mixes, (30, 45, 22, 3))[0]
        else:
            row.premedication_record = PremedicationRecord.NONE

    def react(self, row: LogRow, factor: float) -> None:
        chance = self.chance
        likely = min(0.6, (0.03 + self.proneness) * factor * (0.8 if row.premedications else 1))
        if chance.random() >= likely:
            row.reaction_record = ReactionRecord.OBSERVED if chance.random() < 0.93 else ReactionRecord.NOT_RECORDED
            return
        self.has_reacted = True
        terms = {chance.choices(list(TERMS), list(TERMS.values()))[0] for _ in range(chance.choice((1, 1, 2, 2, 3)))}
        symptoms = tuple(self.symptom(term) for term in sorted(terms))
        row.reaction_record = ReactionRecord.OBSERVED
        row.reactions = (symptoms,)
        row.is_serious = any((symptom.grade or 0) >= 4 for symptom in symptoms)
        row.outcome = Outcome.RECOVERED

    def symptom(self, term: str) -> SymptomCell:
        chance = self.chance
        allowed = grades(term, V5)
        grade = chance.choices(allowed, [GRADE_WEIGHTS[grade] for grade in allowed])[0]
        minutes = chance.randrange(10, 240) if chance.random() < 0.75 else chance.randrange(360, 4_000)
        return SymptomCell(term, "", grade, V5, float(minutes))


def _quarter(day: date) -> str:
    """Such as 264 for the last quarter of 2026."""
    return f"{day.year % 100}{(day.month - 1) // 3 + 1}"
