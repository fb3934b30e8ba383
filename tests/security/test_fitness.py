"""Where real patients are, the service starts as it should be or not at all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FIT = {
    "SITE_URL": "https://ivigtrack.example",
    "SECRET_KEY": "s" * 60,
    "IVIGTRACK_FIELD_KEYS": "k" * 43,
    "ALLOWED_HOSTS": "ivigtrack.example",
    "DEBUG": "false",
}
ROLES = {
    "web": [sys.executable, "-c", "import ivigtrack.wsgi"],
    "worker": [sys.executable, "-m", "celery", "-A", "ivigtrack", "worker", "--pool", "solo"],
    "beat": [sys.executable, "-m", "celery", "-A", "ivigtrack", "beat"],
    "command": [sys.executable, "manage.py", "tick"],
}


def start(role: str, folder: Path, **changes: str | None) -> subprocess.CompletedProcess[str]:
    own = {"DATABASE_URL": f"sqlite:///{folder}/db.sqlite3", "IVIGTRACK_VAR": str(folder), "REDIS_URL": "memory://"}
    taken = {*FIT, "DJANGO_SETTINGS_MODULE", "STATIC_ROOT"}
    env = {name: value for name, value in os.environ.items() if name not in taken} | own
    env |= {name: value for name, value in (FIT | changes).items() if value is not None}
    return subprocess.run(ROLES[role], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"SITE_URL": "http://ivigtrack.example"}, "SITE_URL begins with http://"),
        ({"DEBUG": "true"}, "DEBUG is on"),
        ({"IVIGTRACK_WITHOUT_SECOND_STEP": "true"}, "IVIGTRACK_WITHOUT_SECOND_STEP is on"),
        ({"SECRET_KEY": None}, "SECRET_KEY is not set"),
        ({"SECRET_KEY": ""}, "SECRET_KEY is not set"),
        ({"IVIGTRACK_FIELD_KEYS": None}, "IVIGTRACK_FIELD_KEYS is not set"),
        ({"ALLOWED_HOSTS": None}, "ALLOWED_HOSTS is not set"),
        ({"ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS is not set, or allows every name"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_web_process_that_is_unfit_does_not_start(tmp_path: Path, change: dict[str, str | None], said: str) -> None:
    ended = start("web", tmp_path, **change)
    assert ended.returncode
    assert said in ended.stderr
    assert not (tmp_path / "field-key").exists()


@pytest.mark.parametrize("role", ["worker", "beat", "command"])
def test_nor_does_any_other_role(tmp_path: Path, role: str) -> None:
    ended = start(role, tmp_path, IVIGTRACK_FIELD_KEYS=None)
    assert ended.returncode
    assert "IVIGTRACK_FIELD_KEYS is not set" in ended.stderr + ended.stdout


def test_what_is_fit_starts(tmp_path: Path) -> None:
    ended = start("web", tmp_path)
    assert ended.returncode == 0, ended.stderr


def test_a_key_is_made_where_there_is_none_yet(tmp_path: Path) -> None:
    ROLES["new_key"] = [sys.executable, "manage.py", "new_key"]
    made = start("new_key", tmp_path, IVIGTRACK_FIELD_KEYS=None)
    assert made.returncode == 0
    assert len(made.stdout.strip()) == 43


@pytest.mark.parametrize("role", ["web", "worker", "beat", "command"])
def test_with_other_keys_than_the_databases_no_role_starts(tmp_path: Path, role: str) -> None:
    ROLES["migrate"] = [sys.executable, "manage.py", "migrate", "-v0"]
    assert start("migrate", tmp_path).returncode == 0
    ended = start(role, tmp_path, IVIGTRACK_FIELD_KEYS="other" * 10)
    assert ended.returncode
    assert "The database holds values sealed under the key" in ended.stderr + ended.stdout
    both = start("command", tmp_path, IVIGTRACK_FIELD_KEYS=f"{'other' * 10},{FIT['IVIGTRACK_FIELD_KEYS']}")
    assert both.returncode == 0, both.stderr


def test_this_machine_alone_is_served_without_any_setting(tmp_path: Path) -> None:
    nothing = dict.fromkeys(FIT)
    assert start("web", tmp_path, **nothing).returncode == 0
    assert (tmp_path / "field-key").stat().st_mode & 0o777 == 0o600
