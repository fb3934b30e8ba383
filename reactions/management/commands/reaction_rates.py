"""The page's numbers in a terminal."""

import json
from argparse import ArgumentTypeError
from dataclasses import fields
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from reactions.management.choosing import clinics_named
from reactions.models import Product
from reactions.rates.answer import Rate, RatesTable, answer, as_csv, as_json, percent
from reactions.rates.question import INTERVALS, SOURCES, UNITS, WINDOWS, Question, UnanswerableQuestion, label_of

# What a question has besides the keys, each with an option of the same name.
ASKED = [field.name for field in fields(Question) if field.name != "by"]


class Command(BaseCommand):
    help = "How often infusions are followed by a reaction: events of total, rate and 95 % interval by stratum."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--clinic", metavar="SLUG", help="one clinic; without it, all")
        parser.add_argument(
            "--by", action="append", default=[], metavar="KEY", help="iga, premedication, product, drug:NAME …"
        )
        parser.add_argument("--unit", default="infusion", choices=UNITS)
        parser.add_argument("--interval", default="wilson", choices=INTERVALS)
        parser.add_argument("--reaction", default="", metavar="TERM", help="a CTCAE term, such as headache")
        parser.add_argument("--min-grade", type=int, metavar="G")
        parser.add_argument("--serious", action="store_true", help="only serious reactions (21 CFR 600.80)")
        parser.add_argument("--source", default="both", choices=list(SOURCES), help="who told of the reaction first")
        parser.add_argument("--window", default="label72", choices=list(WINDOWS))
        parser.add_argument("--from", dest="first_day", type=_day, metavar="DATE", help="first day, YYYY-MM-DD")
        parser.add_argument("--to", dest="last_day", type=_day, metavar="DATE", help="last day, YYYY-MM-DD")
        parser.add_argument("--product", default="", metavar="NAME")
        parser.add_argument("--format", default="table", choices=["table", "json", "csv"])
        parser.add_argument("--json", dest="format", action="store_const", const="json", help="short for --format json")

    def handle(self, *args: Any, **options: Any) -> None:
        clinics = clinics_named(options["clinic"])
        if options["product"] and not Product.objects.filter(name=options["product"]).exists():
            raise CommandError(f"There is no product “{options['product']}”.")
        try:
            question = Question(by=tuple(options["by"]), **{name: options[name] for name in ASKED})
            table = answer(question, clinics)
        except UnanswerableQuestion as error:
            raise CommandError(str(error)) from error
        self.stdout.write({"json": _json, "csv": as_csv, "table": _table}[options["format"]](table).rstrip("\n"))


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"“{text}” is not a day. Write it like 2026-04-30.") from None


def _json(table: RatesTable) -> str:
    return json.dumps(as_json(table), indent=2, ensure_ascii=False)


def _table(table: RatesTable) -> str:
    by = table.question.by
    rows = [[*by, "n/N", "%", "95 % interval", "patients"]]
    for rate in table.strata:
        rows.append([*(label_of(key, value) for key, value in zip(by, rate.stratum, strict=True)), *_cells(rate)])
    rows.append([*(["all"] + [""] * (len(by) - 1) if by else []), *_cells(table.all)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join([*lines, "", f"Interval: {table.question.interval}.", *table.notes])


def _cells(rate: Rate) -> list[str]:
    if rate.is_hidden:
        return ["hidden", "–", "small group", "–"]
    if rate.interval is None:
        return ["0/0", "–", "no infusions", "0"]
    bounds = f"{percent(rate.interval.low)} to {percent(rate.interval.high)}"
    return [f"{rate.events}/{rate.total}", percent(rate.rate), bounds, str(rate.patients)]
