"""A short round of `make faults` inside the suite, on the database of this run: real processes, every point judged."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.django_db
def test_a_short_round_of_faults_loses_nothing_and_breaks_no_point() -> None:
    database = "sqlite" if connection.vendor == "sqlite" else "postgres"
    own = {"DATABASE_URL", "DJANGO_SETTINGS_MODULE", "IVIGTRACK_TEST_DIR", "IVIGTRACK_VAR", "REDIS_URL"}
    env = {name: value for name, value in os.environ.items() if name not in own}
    command = [sys.executable, "-m", "tests.faults", "--db", database, "--rounds", "1", "--count", "60"]
    command += ["--seed", "smoke", "--over", "6", "--every", "1", "--lease", "4", "--tick", "1"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
