"""`make faults`: rounds of faults against the real processes, judged at the end. Exit code 1 when a point fails.

`python -m tests.faults --db postgres --rounds 8 --count 1000 --seed 7 --targets worker,child`
"""

import argparse
import dataclasses
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import django

from tests.faults.cast import on_stage, start_the_product
from tests.faults.evidence import GENTLE, KILLS, SILENCES, STOPS, Evidence, Limits

MOST_COPIES_PER_100_KILLS = 10
# So few kills say nothing about a rate.
KILLS_FOR_A_RATE = 20
SHOWN = 5
# Seconds for each check-in: as fast as one nurse of the driver records infusions beside the workers. SQLite has one
# writer at a time.
OVER_S = {"postgres": 0.06, "sqlite": 0.2}


@dataclass
class Tally:
    """What all rounds came to."""

    lost: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    copies: Counter[str] = field(default_factory=Counter)
    recoveries: list[float] = field(default_factory=list)
    findings: dict[str, list[str]] = field(default_factory=dict)

    def add(self, number: int, evidence: Evidence) -> None:
        from tests.faults import judge  # noqa: PLC0415

        self.lost += len(judge.lost(evidence))
        self.faults.update(fault.kind for fault in evidence.faults)
        self.copies += judge.copies_by_target(evidence)
        self.recoveries += judge.recoveries(evidence)
        for point, look in judge.POINTS.items():
            self.findings.setdefault(point, []).extend(f"round {number}: {found}" for found in look(evidence))

    @property
    def kills(self) -> int:
        return sum(self.faults[kind] for kind in KILLS | STOPS)

    @property
    def copies_after_kills(self) -> int:
        return sum(self.copies[kind] for kind in KILLS | STOPS)

    @property
    def holds(self) -> bool:
        return not any(self.findings.values()) and not self.too_many_copies

    @property
    def too_many_copies(self) -> bool:
        rate = 100 * self.copies_after_kills / max(self.kills, 1)
        return self.kills >= KILLS_FOR_A_RATE and rate >= MOST_COPIES_PER_100_KILLS

    def report(self) -> str:
        lines = ["", f"lost {self.lost}", "", f"{'target':<16}{'faults':>8}{'copies':>8}{'per 100':>9}"]
        for kind, count in sorted(self.faults.items()):
            note = "  one each: the server kept the mail in silence" if kind in SILENCES else ""
            lines.append(f"{kind:<16}{count:>8}{self.copies[kind]:>8}{100 * self.copies[kind] / count:>9.1f}{note}")
        if self.copies["unexplained"]:
            lines.append(f"{'unexplained':<16}{'':>8}{self.copies['unexplained']:>8}")
        per_100 = 100 * self.copies_after_kills / max(self.kills, 1)
        verdict = "TOO MANY" if self.too_many_copies else "fewer than 10 wanted"
        lines.append(f"{'kills and stops':<16}{self.kills:>8}{self.copies_after_kills:>8}{per_100:>9.1f}  {verdict}")
        lines += ["", f"recovery after a fault, s: {_percentiles(self.recoveries)}", ""]
        for point, found in self.findings.items():
            lines.append(f"{'FAILS' if found else 'holds'}  {point}")
            lines += [f"         {one}" for one in found[:SHOWN]]
            if len(found) > SHOWN:
                lines.append(f"         … and {len(found) - SHOWN} more")
        return "\n".join(lines)


def _percentiles(seconds: list[float]) -> str:
    if not seconds:
        return "no fault happened"
    ranked = sorted(seconds)
    at = {share: ranked[min(len(ranked) - 1, int(share * len(ranked)))] for share in (0.5, 0.9, 0.99)}
    return "  ".join(f"p{share * 100:.0f} {value:.1f}" for share, value in at.items()) + f"  most {ranked[-1]:.1f}"


def targets_of_round(number: int, rounds: int, chosen: list[str], database: str) -> list[str]:
    """Every fourth round has only what must not double anything, so that no kill nearby can excuse it."""
    from tests.faults.faults import KINDS  # noqa: PLC0415

    possible = [name for name, kind in KINDS.items() if kind.database in ("", database)]
    if chosen:
        return [name for name in possible if name in chosen]
    return [name for name in possible if number % 4 or name in GENTLE] if rounds >= 4 else possible


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--db", choices=["postgres", "sqlite"], default="postgres")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--count", type=int, default=1000, help="check-ins a round")
    parser.add_argument("--seed", default="", help="the same seed makes the same plan of faults; a random one is named")
    parser.add_argument("--targets", default="", help="kinds of faults, by comma; all that the database has by default")
    parser.add_argument("--over", type=float, default=0, help="seconds over which they fall due; see OVER_S")
    parser.add_argument("--every", type=float, default=1.2, help="seconds between two faults, on average")
    parser.add_argument("--lease", type=float, default=8)
    parser.add_argument("--tick", type=float, default=2)
    parser.add_argument("--mail-timeout", type=float, default=2)
    return parser.parse_args()


def _leave(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def run(chosen: argparse.Namespace, folder: Path) -> bool:
    """Play all rounds and print what they came to; True when every point holds."""
    seed = chosen.seed or str(random.SystemRandom().randrange(10**6))
    limits = Limits(chosen.lease, chosen.tick, 1.0, chosen.mail_timeout)
    over_s = chosen.over or max(8.0, OVER_S[chosen.db] * chosen.count)
    print(f"{chosen.db}, {chosen.rounds} × {chosen.count} check-ins, seed {seed}", flush=True)
    tally = Tally()
    with on_stage(chosen.db, folder, limits) as cast:
        django.setup()
        from django.core.management import call_command  # noqa: PLC0415

        from tests.faults.round import play  # noqa: PLC0415

        call_command("migrate", interactive=False, verbosity=0)
        start_the_product(cast)
        print(f"{cast.limits.slack_s:.0f} s are given for this machine's other work", flush=True)
        wanted = [target for target in chosen.targets.split(",") if target]
        if chosen.db == "postgres" and not cast.can_jump:
            print("clock is left out: there is no C compiler", flush=True)
        for number in range(1, chosen.rounds + 1):
            kinds = targets_of_round(number, chosen.rounds, wanted, chosen.db)
            begun = time.monotonic()
            evidence = play(
                cast,
                number=number,
                count=chosen.count,
                over_s=over_s,
                every_s=chosen.every,
                kinds=[kind for kind in kinds if kind != "clock" or cast.can_jump],
                seed=f"{seed}/{number}",
            )
            (folder / f"round-{number}.json").write_text(json.dumps(dataclasses.asdict(evidence), default=list))
            tally.add(number, evidence)
            copies = sum(tally.copies.values())
            print(
                f"round {number}: {len(evidence.faults)} faults, {len(evidence.copies)} mails accepted; so far"
                f" lost {tally.lost}, second copies {copies}, in {time.monotonic() - begun:.0f} s",
                flush=True,
            )
    print(tally.report(), flush=True)
    return tally.holds


def main() -> int:
    chosen = options()
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, _leave)
    # A short path, for PostgreSQL's socket.
    folder = Path(tempfile.mkdtemp(prefix="ivigtrack-faults-", dir="/tmp"))
    holds = False
    try:
        holds = run(chosen, folder)
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    finally:
        if holds or os.environ.get("IVIGTRACK_FAULTS_FORGET"):
            shutil.rmtree(folder, ignore_errors=True)
        else:
            print(f"Logs, the sink's record and the evidence are in {folder}.", file=sys.stderr)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
