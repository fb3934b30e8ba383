"""Prints how fast an infusion log is read in, as ratios to bare loads of the same rows into the same tables.

`python -m tests.benchmarks log [--infusions 20000] [--db postgres,sqlite] [--rounds R]`. Bare is nothing but the rows,
with their values at hand: by Django's bulk_create, and by COPY or, on SQLite, one prepared statement for all.
"""

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.databases import DATABASES, empty_databases, figures_of

BARE = ("bare bulk_create", "bare COPY or executemany")


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--infusions", type=int, default=20_000)
    parser.add_argument("--db", default=",".join(DATABASES), help="databases, of postgres and sqlite")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(arguments)
    print(f"{given.infusions:,} infusions, median of {given.rounds} rounds, {os.cpu_count()} processors\n")
    for kind in given.db.split(","):
        with tempfile.TemporaryDirectory(prefix="ivigtrack-bench-") as name, empty_databases(kind, Path(name)) as made:
            seconds = figures_of("log_once", made(given.infusions), Path(name), given.infusions, given.rounds)
        print(kind)
        for what, took in seconds.items():
            ratios = [f"{seconds[bare] / took:5.2f} of the rate of {bare}" for bare in BARE if what == "import_log"]
            print("   ".join([f"  {what:26} {given.infusions / took:9,.0f} infusions/s", *ratios]))
        print(flush=True)
