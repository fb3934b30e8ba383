"""A question and its answer on paper: filters, date, clinics, definitions, tables and pictures as one PDF.

The digits are the page's: tables are written by reactions.rates.words, pictures drawn from the page's own geometry.
The same report gives the same bytes.
"""

import tomllib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import fontpkg_fira_sans
from django.conf import settings
from fpdf import FPDF
from fpdf.enums import TableBordersLayout, XPos, YPos
from fpdf.fonts import FontFace, TextStyle, TTFFont
from fpdf.prefs import ViewerPreferences

from reactions.rates.answer import Rate, RatesTable
from reactions.rates.pictures.drawing import DOT_RADIUS, OPEN, Drawing, Gallery, Picture, Table, share
from reactions.rates.premedication_words import ComparisonInWords
from reactions.rates.question import in_words, key_label
from reactions.rates.words import bounds_of_silence, clustered, interval, stratum_label

FONT, REGULAR, BOLD = "FiraSans", "FiraSans-Regular.ttf", "FiraSans-SemiBold.ttf"
# What the font has no sign for, as of a script that is not Latin, Greek or Cyrillic, prints as this.
UNKNOWN_SIGN = "?"
MARGIN_MM, PAGE_WIDTH_MM = 16.0, 210.0
WIDTH_MM = PAGE_WIDTH_MM - 2 * MARGIN_MM
TEXT_PT, SMALL_PT = 9.5, 8.0
POINT_MM = 25.4 / 72
# Texts of a drawing are a little larger than its scale makes them, for paper is read from farther away.
ENLARGED = 1.1
INK, QUIET, RULE, POINT, FAR = (20, 20, 20), (90, 90, 90), (170, 170, 170), (11, 97, 112), (163, 38, 15)
COLOURS = {"curve": POINT, "interval": POINT, "dot": POINT, "diamond": POINT, "above": FAR, "below": FAR}


@dataclass(frozen=True)
class Report:
    """What is printed. `asked_at` carries the zone whose clock is shown; `filters` are (label, value) in words."""

    title: str
    asked_at: datetime
    filters: Sequence[tuple[str, str]]
    clinics: Sequence[str]
    definitions: Sequence[str]
    tables: Sequence[RatesTable]
    version: str
    gallery: Gallery | None = None
    # Those of which answers and silence are printed too.
    with_answers: Sequence[RatesTable] = ()
    comparison: ComparisonInWords | None = None

    @property
    def asked(self) -> str:
        """“2026-05-04 10:00 America/New_York (UTC-0400)”."""
        return f"{self.asked_at:%Y-%m-%d %H:%M} {self.asked_at.tzinfo} (UTC{self.asked_at:%z})"


@lru_cache(maxsize=1)
def product_version() -> str:
    """The version of IVIGTrack that runs, as pyproject.toml has it."""
    with (settings.BASE_DIR / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])


def as_pdf(report: Report) -> bytes:
    """The report as a PDF with title, language, bookmarks and page numbers. Raises ValueError without a zone."""
    if report.asked_at.tzinfo is None:
        raise ValueError("The moment needs its zone: a date on paper must say whose clock it is.")
    page = _Paper(report)
    page.head()
    for table in report.tables:
        page.rates(table)
    if report.comparison:
        page.comparison(report.comparison)
    for table in report.with_answers:
        page.answers(table)
    if report.gallery:
        for picture in report.gallery.pictures:
            page.picture(picture)
    page.definitions()
    return bytes(page.output())


class _Paper(FPDF):
    """The report on pages of A4."""

    def __init__(self, report: Report) -> None:
        super().__init__(format="A4")
        self.report = report
        folder = fontpkg_fira_sans.ROOT / "files"
        self.add_font(FONT, "", folder / REGULAR)
        self.add_font(FONT, "B", folder / BOLD)
        font = self.fonts[FONT.lower()]
        self.signs = frozenset(font.cmap if isinstance(font, TTFFont) else ())
        self.set_margin(MARGIN_MM)
        self.set_auto_page_break(True, MARGIN_MM + 6)
        self.set_section_title_styles(
            TextStyle(FONT, "B", 18, INK, b_margin=2),
            TextStyle(FONT, "B", 12, INK, t_margin=5, b_margin=1.5),
        )
        self.set_title(self.printable(report.title))
        self.set_lang("en-US")
        self.set_creator("IVIGTrack")
        self.set_producer(f"IVIGTrack {report.version}")
        self.set_creation_date(report.asked_at)
        self.viewer_preferences = ViewerPreferences(display_doc_title=True)
        self._font(TEXT_PT)
        self.add_page()

    def printable(self, words: str) -> str:
        """The words in signs that the font has: letters it lacks with their accents apart, else UNKNOWN_SIGN."""
        return "".join(self._sign(sign) for sign in unicodedata.normalize("NFC", words))

    def _sign(self, sign: str) -> str:
        if ord(sign) in self.signs:
            return sign
        apart = [part for part in unicodedata.normalize("NFKD", sign) if ord(part) in self.signs]
        return "".join(apart) or (UNKNOWN_SIGN if sign.isprintable() else " ")

    def footer(self) -> None:
        self.set_y(-MARGIN_MM)
        self._font(SMALL_PT, colour=QUIET)
        words = f"{self.report.title} · {self.report.asked} · IVIGTrack {self.report.version}"
        self.cell(WIDTH_MM - 28, 5, self._cut(self.printable(words), WIDTH_MM - 30))
        self.cell(28, 5, f"Page {self.page_no()} of {{nb}}", align="R")

    def _cut(self, words: str, most_mm: float) -> str:
        while self.get_string_width(words) > most_mm:
            words = f"{words[:-2]}…"
        return words

    def head(self) -> None:
        """What was asked, of whom, and when."""
        self.start_section(self.printable(self.report.title))
        asked = [
            ("Asked on", self.report.asked),
            ("Clinics", ", ".join(self.report.clinics)),
            *self.report.filters,
            ("Version", f"IVIGTrack {self.report.version}"),
        ]
        self._grid([(label, value or "–") for label, value in asked], (32, WIDTH_MM - 32), heads=0)

    def definitions(self) -> None:
        if not self.report.definitions:
            return
        self.start_section("How to read this", level=1)
        for words in self.report.definitions:
            self._font(TEXT_PT)
            self.cell(4, 4.8, "•")
            self._paragraph(words, WIDTH_MM - 4)

    def rates(self, table: RatesTable) -> None:
        """One table: a line for each stratum, and one for all."""
        question = table.question
        by = [key_label(key) for key in question.by]
        self.start_section(
            self.printable(f"By {' and '.join(_inside(words) for words in by)}" if by else "All"), level=1
        )
        rows = [
            tuple(stratum_label(key, value) for key, value in zip(question.by, rate.stratum, strict=True))
            + _numbers(rate, question.unit)
            for rate in table.strata
        ]
        rows.append((*("All" for _ in by or [""]), *_numbers(table.all, question.unit)))
        heads = (*(by or [""]), f"{question.unit.capitalize()}s with a {question.event}", "95 % interval", "Patients")
        repeated = any(rate.clustered for rate in (*table.strata, table.all))
        if repeated:
            heads = (*heads, "Allowing for patients' repeats")
        else:
            rows = [row[:-1] for row in rows]
        self._grid([heads, *rows], (*(30 for _ in by or [""]), 31, 38, 15, *((48,) if repeated else ())))

    def comparison(self, comparison: ComparisonInWords) -> None:
        self.start_section("Any premedication against none", level=1)
        for words in (
            comparison.premedicated,
            comparison.opposite,
            comparison.groups,
            comparison.in_short,
            comparison.why_not,
        ):
            if words:
                self._paragraph(words)
        if comparison.lines:
            heads = ("Comparison", "Risk ratio, 95 % interval", "What it rests on")
            rows = [
                (f"{line.name}, {line.how}" if line.how else line.name, line.ratio, line.rests_on)
                for line in comparison.lines
            ]
            self._grid([heads, *rows], (42, 34, 102))

    def answers(self, table: RatesTable) -> None:
        """What check-ins say of each stratum: how many answered, and what silence may hide."""
        by = [key_label(key) for key in table.question.by]
        self.start_section(self.printable(f"Answers and silence, by {' and '.join(map(_inside, by))}"), level=1)
        heads = (", ".join(by), "Check-ins answered", "If silence hides no reaction, or one each")
        rows = [(in_words(table.question.by, rate.stratum), *_silence(rate)) for rate in table.strata]
        rows.append(("All", *_silence(table.all)))
        self._grid([heads, *rows], (68, 50, 60))

    def picture(self, picture: Picture) -> None:
        drawing = picture.wide
        scale = WIDTH_MM / drawing.width if drawing else 0
        room = 26 + (drawing.height * scale if drawing else 0)
        if self.will_page_break(room):
            self.add_page()
        self.start_section(picture.title, level=1)
        self._paragraph(f"{picture.shows} {picture.reading}".strip())
        if drawing is None:
            self._paragraph(picture.empty)
            return
        if self.will_page_break(drawing.height * scale + 2):
            self.add_page()
        top = self.get_y() + 2
        with self.local_context():
            self._paint(drawing, top, scale)
        self.set_xy(MARGIN_MM, top + drawing.height * scale + 2)
        for words in picture.said:
            self._paragraph(words)
        if picture.table:
            self._numbers_of(picture.table)

    def _numbers_of(self, table: Table) -> None:
        self.ln(1.5)
        widths = tuple(
            max(8, *(min(len(row[place]), 40) for row in (table.columns, *table.rows)))
            for place in range(len(table.columns))
        )
        self._grid([table.columns, *table.rows], tuple(width + 4 for width in widths))

    def _paragraph(self, words: str, width: float = WIDTH_MM) -> None:
        self._font(TEXT_PT)
        self.multi_cell(width, 4.8, self.printable(words), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def _grid(self, rows: Sequence[Sequence[str]], widths: Sequence[float], heads: int = 1) -> None:
        """A table; its head stands again on every page that it runs over to."""
        self._font(SMALL_PT)
        self.set_draw_color(*RULE)
        self.set_line_width(0.1)
        with self.table(
            [[self.printable(cell) for cell in row] for row in rows],
            align="LEFT",
            borders_layout=TableBordersLayout.HORIZONTAL_LINES,
            col_widths=tuple(widths),
            first_row_as_headings=bool(heads),
            num_heading_rows=heads,
            headings_style=FontFace(emphasis="BOLD"),
            line_height=4.4,
            padding=(0.6, 1),
            text_align="LEFT",
            v_align="TOP",
            width=WIDTH_MM,
        ):
            pass

    def _font(self, size: float, style: str = "", colour: tuple[int, int, int] = INK) -> None:
        self.set_font(FONT, style, size)
        self.set_text_color(*colour)

    def _paint(self, drawing: Drawing, top: float, scale: float) -> None:
        """The drawing at the left margin, from the same numbers as the page's SVG."""

        def at(x: float, y: float) -> tuple[float, float]:
            return MARGIN_MM + x * scale, top + y * scale

        for stroke in drawing.strokes:
            self.set_draw_color(*_mixed(COLOURS.get(stroke.kind, INK), stroke.opacity))
            self.set_line_width(stroke.width * scale)
            dash, gap = ([float(part) * scale for part in stroke.dashes.split()] or [0, 0])[:2]
            self.set_dash_pattern(dash=dash, gap=gap)
            for run in stroke.runs:
                self.polyline([at(x, y) for x, y in run])
        self.set_dash_pattern()
        for mark in sorted(drawing.marks, key=lambda mark: mark.kind != "dot"):
            colour = COLOURS.get(mark.kind, INK)
            self.set_draw_color(*colour)
            self.set_fill_color(*colour)
            self.set_line_width(2 * scale)
            if mark.outline:
                self.polygon([at(x, y) for x, y in mark.outline], style="D" if mark.kind in OPEN else "DF")
            else:
                self.circle(*at(mark.x, mark.y), DOT_RADIUS * scale, style="F")
        for text in drawing.texts:
            self._font(text.size * scale / POINT_MM * ENLARGED, "B" if text.strong else "")
            words = self.printable(text.words)
            back = {"start": 0.0, "middle": 0.5, "end": 1.0}[text.anchor] * self.get_string_width(words)
            x, y = at(text.x, text.y)
            self.text(x - back, y, words)


def _numbers(rate: Rate, unit: str) -> tuple[str, ...]:
    if rate.is_hidden:
        return "hidden: small group", "", "", ""
    if not rate.total:
        return f"no {unit}s", "", "", ""
    method = f" ({rate.interval.method})" if rate.interval else ""
    return share(rate.events, rate.total), interval(rate) + method, str(rate.patients), clustered(rate)


def _silence(rate: Rate) -> tuple[str, str]:
    if rate.is_hidden:
        return "hidden: small group", ""
    answered = share(rate.answered, rate.asked) if rate.asked else "nobody was asked"
    worst = rate.events + rate.silent
    return answered, f"{bounds_of_silence(rate)} ({rate.events} to {worst} of {rate.total})" if rate.total else ""


def _inside(words: str) -> str:
    """As it is written inside a sentence; abbreviations stay."""
    return words if words[1:2].isupper() or words[2:3].isupper() else words[:1].lower() + words[1:]


def _mixed(colour: tuple[int, int, int], opacity: float) -> tuple[Any, ...]:
    """The colour as it looks on white paper at that opacity."""
    return tuple(round(255 - (255 - part) * opacity) for part in colour)
