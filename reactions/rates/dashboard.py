"""Everything the page “Reaction rates” says, from one pass: tables in three units, and premedication compared."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from patients.models import STATUS_LABELS, Clinic
from reactions.rates import premedication_words
from reactions.rates.answer import Rate, RatesTable, answers_by_unit, keys_of
from reactions.rates.kept import columns_of
from reactions.rates.premedication import COMPARED_BY, Comparison, compare
from reactions.rates.premedication_words import ComparisonInWords
from reactions.rates.question import UNITS, Question, in_words, label_of, values_of


@dataclass(frozen=True)
class InFull:
    """One stratum with all that is known of it; `by_unit` per infusion, per course and per patient."""

    label: str
    rate: Rate
    by_unit: tuple[Rate, ...]
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Line:
    """One IgA status: its strata by premedication, and all of them together."""

    label: str
    cells: list[Rate]
    total: Rate


@dataclass(frozen=True)
class Dashboard:
    """The answer by IgA status and premedication, its margins, and the answer by a second key.

    `besides` are further tables that count where small groups are hidden: pictures and comparison tell of them.
    """

    table: RatesTable
    by_iga: RatesTable
    by_drugs: RatesTable
    lines: list[Line]
    columns: list[str]
    also: RatesTable
    in_full: list[InFull]
    also_in_full: list[InFull]
    everything: InFull
    comparison: Comparison
    besides: tuple[RatesTable, ...] = ()
    no_keys: tuple[str, ...] = ()

    @property
    def hides(self) -> bool:
        """The small-cell rule hides something, so that no list of infusions is shown from which it could be told."""
        return any(table.hides for table in (self.table, self.by_iga, self.by_drugs, self.also, *self.besides))

    @property
    def hidden_products(self) -> frozenset[str]:
        """Those that the table of products hides."""
        return _hidden_values("product", self.besides)

    @property
    def comparison_in_words(self) -> ComparisonInWords:
        """What page and report say of premedication."""
        return premedication_words.in_words(self.comparison)


def groupings_of(premedication: str, also: str, clinics: Sequence[Clinic]) -> list[tuple[str, ...]]:
    """What the page divides by. Where small groups are hidden, also by what pictures, comparison and lists tell."""
    besides = [("product",), ("premedication",)] if any(clinic.least_patients for clinic in clinics) else []
    return [("iga", premedication), ("iga",), (premedication,), (also,), *besides]


def dashboard(question: Question, premedication: str, also: str, clinics: Sequence[Clinic]) -> Dashboard:
    """Answer the question for the clinics. `premedication` is that key or one drug's, `also` the second table's key."""
    groupings = groupings_of(premedication, also, clinics)
    blocks = columns_of(question, keys_of([*groupings, COMPARED_BY]), clinics)
    by_unit = answers_by_unit(question, groupings, clinics, blocks=blocks)
    table, by_iga, by_drugs, second, *besides = by_unit[question.unit]
    width = len(by_drugs.strata)
    lines = [
        Line(STATUS_LABELS[str(total.stratum[0])], table.strata[number * width : (number + 1) * width], total)
        for number, total in enumerate(by_iga.strata)
    ]
    return Dashboard(
        table=table,
        by_iga=by_iga,
        by_drugs=by_drugs,
        lines=lines,
        columns=[label_of(premedication, value) for value in values_of(premedication) or ()],
        also=second,
        in_full=_in_full([by_unit[unit][0] for unit in UNITS], table),
        also_in_full=_in_full([by_unit[unit][3] for unit in UNITS], second),
        everything=InFull("All", table.all, tuple(by_unit[unit][0].all for unit in UNITS), ()),
        comparison=compare(
            blocks,
            least=table.least_patients,
            hidden_classes=_hidden_values("premedication", besides),
            drug="" if premedication == "premedication" else premedication,
            hidden_of_drug=_hidden_values(premedication, [by_drugs]),
        ),
        besides=tuple(besides),
    )


def _hidden_values(key: str, tables: Iterable[RatesTable]) -> frozenset[str]:
    """The values that the table by this key alone hides."""
    found = [table.strata for table in tables if table.question.by == (key,)]
    return frozenset(str(rate.stratum[0]) for strata in found for rate in strata if rate.is_hidden)


def _in_full(tables: Sequence[RatesTable], asked: RatesTable) -> list[InFull]:
    keys = asked.question.by
    return [
        InFull(
            label=in_words(keys, rate.stratum),
            rate=rate,
            by_unit=tuple(table.strata[number] for table in tables),
            keys=keys,
        )
        for number, rate in enumerate(asked.strata)
    ]
