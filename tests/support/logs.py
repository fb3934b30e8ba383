"""Infusion logs for tests."""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from django.core.management import call_command

GOOD_ROW = {
    "patient": "LOG-1",
    "given_name": "Testa",
    "family_name": "Synthetic",
    "birth_date": "1970-01-31",
    "sex": "female",
    "email": "testa@patients.example",
    "diagnosis": "Dermatomyositis",
    "iga": "82 mg/dL (70-400)",
    "iga_date": "2026-01-10",
    "anti_iga": "not done",
    "course": "7",
    "day": "1",
    "days": "2",
    "setting": "clinic",
    "product": "Privigen",
    "lots": "SYN-1:2028-06-30:20;SYN-2:2028-07-31:15",
    "dose_g": "35",
    "weight_kg": "70.5",
    "started_at": "2026-05-04T09:00",
    "ended_at": "2026-05-04T13:00",
    "premedication": "acetaminophen 650 mg PO 30",
    "reactions": "chills:2@40;urticaria:1@60",
    "serious": "no",
    "outcome": "recovered",
}


def good_row(**changes: str) -> dict[str, str]:
    """A complete row of one infusion; `changes` replaces cells."""
    return GOOD_ROW | changes


def write_log(path: Path, rows: Iterable[Mapping[str, str]]) -> Path:
    """A log file with the columns of the first row."""
    rows = list(rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def import_log(path: Path, clinic: str, **options: Any) -> str:
    """Run the command; returns what it printed. Raises CommandError."""
    said = io.StringIO()
    call_command("import_log", str(path), clinic=clinic, stdout=said, stderr=io.StringIO(), **options)
    return said.getvalue()


def reaction_rates(*arguments: str) -> dict[str, Any]:
    """What `reaction_rates --json` prints, read back."""
    said = io.StringIO()
    call_command("reaction_rates", *arguments, "--json", stdout=said)
    rates: dict[str, Any] = json.loads(said.getvalue())
    return rates
