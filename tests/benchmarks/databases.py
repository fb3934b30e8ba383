"""Empty databases for a benchmark, and a process that measures on one of them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from tests.support import postgres

ROOT = Path(__file__).resolve().parents[2]
DATABASES = ("postgres", "sqlite")


@contextmanager
def empty_databases(kind: str, folder: Path) -> Iterator[Callable[[int], str]]:
    """A function that makes an empty database for a size, and gives its address, while the block runs."""
    if kind == "sqlite":
        yield lambda size: f"sqlite:///{folder / f'of{size}.sqlite3'}"
        return
    with postgres.server() as server:
        before, _, _ = server.url.rpartition("/")

        def made(size: int) -> str:
            socket = before.removeprefix("postgres://postgres@/")
            with psycopg.connect(host=socket, user="postgres", dbname="postgres", autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE of{size}")
            return f"{before}/of{size}"

        yield made


def figures_of(module: str, url: str, folder: Path, *arguments: int) -> dict[str, Any]:
    """What the module of this folder prints as its last line, run on the database at the address."""
    own = {"DATABASE_URL": url, "EMAIL_URL": "dummymail://", "IVIGTRACK_VAR": str(folder), "LOG_LEVEL": "WARNING"}
    command = [sys.executable, "-m", f"tests.benchmarks.{module}", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | own, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures
