"""What is installed, and when it is installed again."""

import sys
from pathlib import Path

import pytest

from ivigtrack.local import environment


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    (tmp_path / "requirements.txt").write_text("Django==5.2  # the reason\n")
    dev = tmp_path / "requirements-dev.txt"
    dev.write_text("# what tests need\n-r requirements.txt\npytest==9\n")
    return dev


@pytest.fixture
def ready_environment(tmp_path: Path) -> Path:
    """An environment whose interpreter is this one."""
    folder = tmp_path / "environment"
    (folder / "bin").mkdir(parents=True)
    python = folder / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    return folder


def test_an_included_file_counts_too(requirements: Path) -> None:
    assert set(environment.wanted(requirements)) == {"requirements-dev.txt", "requirements.txt"}


def test_a_changed_file_is_seen(requirements: Path) -> None:
    before = environment.wanted(requirements)
    (requirements.parent / "requirements.txt").write_text("Django==5.2.1\n")
    after = environment.wanted(requirements)
    assert after["requirements.txt"] != before["requirements.txt"]
    assert after["requirements-dev.txt"] == before["requirements-dev.txt"]


def test_a_stamp_reads_back_what_was_written(tmp_path: Path) -> None:
    environment.write_stamp(tmp_path / "stamp", {"a.txt": "11", "b c.txt": "22"})
    assert environment.read_stamp(tmp_path / "stamp") == {"a.txt": "11", "b c.txt": "22"}


@pytest.mark.parametrize("text", ["", "\n\n", "11\n", "not a stamp\n"])
def test_a_broken_stamp_makes_nothing_count_as_installed(tmp_path: Path, requirements: Path, text: str) -> None:
    (tmp_path / "stamp").write_text(text)
    assert not environment.wanted(requirements).items() <= environment.read_stamp(tmp_path / "stamp").items()


def test_no_stamp_means_nothing_is_installed(tmp_path: Path) -> None:
    assert environment.read_stamp(tmp_path / "none") == {}


def test_what_is_installed_is_not_installed_again(
    ready_environment: Path, requirements: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    environment.write_stamp(ready_environment / environment.STAMP, environment.wanted(requirements))
    environment.prepare(ready_environment, requirements)
    environment.prepare(ready_environment, requirements.parent / "requirements.txt")
    assert capfd.readouterr().out == ""


def test_a_failed_installation_is_said_and_tried_again_next_time(ready_environment: Path, tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("-e /no/such/folder\n")
    with pytest.raises(environment.CannotPrepare, match="could not be installed"):
        environment.prepare(ready_environment, requirements)
    assert environment.read_stamp(ready_environment / environment.STAMP) == {}


def test_an_environment_whose_interpreter_is_gone_is_made_anew(tmp_path: Path, requirements: Path) -> None:
    folder = tmp_path / "environment"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to("/no/such/python")
    environment.write_stamp(folder / environment.STAMP, environment.wanted(requirements))
    empty = tmp_path / "empty.txt"
    empty.write_text("")
    environment.prepare(folder, empty)
    assert set(environment.read_stamp(folder / environment.STAMP)) == {"empty.txt"}


def test_a_python_without_ensurepip_is_told_what_to_install(
    tmp_path: Path, requirements: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "find_spec", lambda name: None)
    with pytest.raises(environment.CannotPrepare, match=r"apt-get install python3\.\d+-venv"):
        environment.prepare(tmp_path / "environment", requirements)
