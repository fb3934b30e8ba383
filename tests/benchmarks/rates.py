"""Prints how fast reaction rates are answered: the page's whole computation and one narrow answer, beside the same
cluster-robust answer by one plain SQL statement on the same database and by DuckDB on a copy of it.

`python -m tests.benchmarks rates [--infusions 100000,1000000] [--db postgres,sqlite] [--rounds R]`. All runs on this
machine; each figure is the median of the rounds. The rows are those of demo_data, twenty infusions a patient; above a
million, on PostgreSQL only, they are multiplied inside the database.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.databases import DATABASES, empty_databases, figures_of

SPANS = ("all", "12 months")
OURS = ("dashboard", "answer", "drill-down page")
RIVALS = ("plain SQL", "DuckDB")
MOST_ON_SQLITE = 1_000_000


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--infusions", default="100000", help="sizes, such as 100000,1000000")
    parser.add_argument("--db", default=",".join(DATABASES), help="databases, of postgres and sqlite")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(arguments)
    sizes, databases = sorted(int(size) for size in given.infusions.split(",")), given.db.split(",")
    if not set(databases) <= set(DATABASES):
        parser.error("--db takes postgres, sqlite or both")
    if databases == ["sqlite"] and sizes[0] > MOST_ON_SQLITE:
        parser.error(f"more than {MOST_ON_SQLITE:,} infusions are made on PostgreSQL only")
    print(f"median of {given.rounds} rounds, {os.cpu_count()} processors\n")
    for database in databases:
        with (
            tempfile.TemporaryDirectory(prefix="ivigtrack-bench-") as name,
            empty_databases(database, Path(name)) as made,
        ):
            found: list[dict[str, Any]] = []
            for size in sizes:
                if database == "sqlite" and size > MOST_ON_SQLITE:
                    print(f"sqlite: {size:,} infusions are made on PostgreSQL only\n")
                    continue
                found.append(figures_of("rates_once", made(size), Path(name), size, given.rounds))
                _print(database, found[-1])
                if len(found) > 1:
                    _print_growth(*found[-2:])
        if any(count > found[0]["queries"][page] for figures in found for page, count in figures["queries"].items()):
            sys.exit("The number of queries of a page grows with the number of infusions.")


def _print(database: str, figures: dict[str, Any]) -> None:
    seconds = figures["seconds"]
    print(
        f"{database}: {figures['infusions']:,} infusions of {figures['patients']:,} patients,"
        f" {figures['within_a_year']:,} of the last 12 months"
    )
    for span in SPANS:
        rivals = {rival: seconds[f"{rival}, {span}"] for rival in RIVALS}
        for rival, took in rivals.items():
            print(f"  {f'{rival}, {span}':30} {took:9.3f} s")
        for what in OURS:
            took = seconds[f"{what}, {span}"]
            ratios = "   ".join(f"{took / other:8.3f} of {rival}" for rival, other in rivals.items())
            print(f"  {f'{what}, {span}':30} {took:9.3f} s   {ratios}")
    queries = ", ".join(f"{page} {count}" for page, count in figures["queries"].items())
    print(f"  queries a page: {queries}\n", flush=True)


def _print_growth(before: dict[str, Any], after: dict[str, Any]) -> None:
    patients = after["patients"] / before["patients"]
    print(f"  {patients:.1f} times the patients; growth of the time over that:")
    for name, took in after["seconds"].items():
        print(f"  {name:30} {took / before['seconds'][name] / patients:6.2f}")
    print(flush=True)
