"""Prints how long the search for a patient takes in one clinic of many, though names are sealed: by the beginning of a
name, by record number and by birth date, as the page answers it, beside the same page by the patient's key.

`python -m tests.benchmarks search [--patients 50000] [--db postgres,sqlite] [--rounds R]`. Each figure is the median of
the rounds and of the searches of its kind, each for another patient.
"""

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.databases import DATABASES, empty_databases, figures_of

BESIDE = "the same rows by key"


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--patients", type=int, default=50_000)
    parser.add_argument("--db", default=",".join(DATABASES), help="databases, of postgres and sqlite")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(arguments)
    print(f"{given.patients:,} patients of one clinic, median of {given.rounds} rounds, {os.cpu_count()} processors\n")
    for kind in given.db.split(","):
        with tempfile.TemporaryDirectory(prefix="ivigtrack-bench-") as name, empty_databases(kind, Path(name)) as made:
            figures = figures_of("search_once", made(given.patients), Path(name), given.patients, given.rounds)
        print(kind)
        for what, seconds in figures.items():
            times = seconds / figures[BESIDE]
            print(f"  {what:36} {seconds * 1000:7.1f} ms   {times:5.1f} times {BESIDE}")
        print(flush=True)
