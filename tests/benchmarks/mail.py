"""Prints how fast mail leaves, on SQLite and on PostgreSQL, as ratios to a bare loop of smtplib on one connection.

`python -m tests.benchmarks mail [--mails N] [--rounds R] [--workers 1,2,4]`. Everything runs on this machine: a mail
server in a process of its own, PostgreSQL as durable as it comes (fsync on), and worker processes that empty the same
outbox. In each round everything is measured once, the bare loop before and after it; each figure is the median of the
rounds.
"""

import argparse
import os
import smtplib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import psycopg

from tests.support import postgres

ROOT = Path(__file__).resolve().parents[2]
BODY = b"x" * 70
# About what a check-in is.
LINES = 24


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--mails", type=int, default=2000, help="in each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", default="1,2", help="numbers of worker processes, such as 1,2,4")
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    given = parser.parse_args(arguments)
    workers = [int(number) for number in given.workers.split(",")]
    print(f"{given.mails} mails a measurement, median of {given.rounds} rounds, {os.cpu_count()} processors\n")
    with tempfile.TemporaryDirectory(prefix="ivigtrack-bench-") as folder, mail_server() as port:
        if given.only != "postgresql":
            measure("SQLite", _sqlite(Path(folder)), port, given.mails, given.rounds, workers)
        if given.only != "sqlite":
            with postgres.server(settings=postgres.DURABLE) as server:
                measure(
                    f"PostgreSQL {server.version}",
                    _databases_of(server.url),
                    port,
                    given.mails,
                    given.rounds,
                    workers,
                )


def measure(name: str, databases: dict[str, str], port: int, mails: int, rounds: int, workers: list[int]) -> None:
    """Measure everything on one database and print it."""
    with tempfile.TemporaryDirectory(prefix="ivigtrack-bench-") as folder:
        env = os.environ | {"EMAIL_URL": f"smtp://127.0.0.1:{port}", "IVIGTRACK_VAR": folder, "LOG_LEVEL": "WARNING"}
        ours = env | {"DATABASE_URL": databases["ours"]}
        theirs = env | {"DATABASE_URL": databases["theirs"]}
        figures: dict[str, list[float]] = {}
        for _ in range(rounds):
            bare = [bare_loop(port, mails)]
            rates: dict[str, float] = {}
            for number in workers:
                run(["tests.benchmarks.records", str(mails)], ours)
                rates[f"IVIGTrack, {_processes(number)}"] = together(
                    [["tests.benchmarks.sender"]] * number, ours, port, mails
                )
            bare.append(bare_loop(port, mails))
            run(["tests.benchmarks.post_office", "fill", str(mails)], theirs)
            rates["django-post-office, 1 process"] = together(
                [["tests.benchmarks.post_office", "send"]], theirs, port, mails
            )
            bare.append(bare_loop(port, mails))
            rates = {"bare smtplib loop": median(bare)} | rates
            for label, rate in rates.items():
                figures.setdefault(label, []).append(rate)
                figures.setdefault(f"{label} ratio", []).append(rate / rates["bare smtplib loop"])
    print(name)
    for label in [label for label in figures if not label.endswith(" ratio")]:
        rate, ratio = median(figures[label]), median(figures[f"{label} ratio"])
        print(f"  {label:36} {rate:7,.0f} mails/s   {ratio:5.2f} of the bare loop")
    print(flush=True)


def bare_loop(port: int, mails: int) -> float:
    """Mails a second of nothing but smtplib on one connection, with the text at hand."""
    text = b"Subject: A short question\r\nFrom: check-in@clinic.example\r\nMessage-ID: <bare-%d@clinic.example>\r\n\r\n"
    text += b"\r\n".join([BODY] * LINES)
    began_at = time.time_ns()
    with smtplib.SMTP("127.0.0.1", port) as smtp:
        smtp.ehlo()
        began = time.perf_counter()
        for number in range(mails):
            smtp.sendmail("check-in@clinic.example", ["patient@patients.example"], text % (began_at + number))
        return mails / (time.perf_counter() - began)


def together(commands: list[list[str]], env: dict[str, str], port: int, mails: int) -> float:
    """Mails a second of processes that begin together, until the last is done.

    Raises AssertionError when the mail server did not get every mail once.
    """
    before = _taken(port)
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", *command],
                    cwd=ROOT,
                    env=env,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for command in commands
        ]
        for process in processes:
            assert _line_of(process) == "ready"
        began = time.perf_counter()
        for process in processes:
            assert process.stdin
            process.stdin.write("\n")
            process.stdin.flush()
        sent = sum(int(_line_of(process)) for process in processes)
        took = time.perf_counter() - began
    taken = _taken(port) - before
    assert (sent, taken) == (mails, mails), f"{sent} sent and {taken} taken of {mails}"
    return mails / took


def run(arguments: list[str], env: dict[str, str]) -> None:
    subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, env=env, check=True)


@contextmanager
def mail_server() -> Iterator[int]:
    """The port of the mail server, which runs while the block runs."""
    command = [sys.executable, "-m", "tests.benchmarks.smtp_server"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield int(_line_of(process))
        finally:
            process.terminate()


def _taken(port: int) -> int:
    with smtplib.SMTP("127.0.0.1", port) as smtp:
        return int(smtp.verify("mails")[1])


def _line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def _sqlite(folder: Path) -> dict[str, str]:
    return {whose: f"sqlite:///{folder / whose}.sqlite3" for whose in ("ours", "theirs")}


def _databases_of(url: str) -> dict[str, str]:
    before, _, _ = url.rpartition("/")
    socket = before.removeprefix("postgres://postgres@/")
    with psycopg.connect(host=socket, user="postgres", dbname="postgres", autocommit=True) as connection:
        for whose in ("ours", "theirs"):
            connection.execute(f"CREATE DATABASE {whose}")
    return {whose: f"{before}/{whose}" for whose in ("ours", "theirs")}


def _processes(number: int) -> str:
    return "1 process" if number == 1 else f"{number} processes"
