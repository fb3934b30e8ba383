"""Make `.venv` and install what is not in it yet. Needs nothing but the standard library.

`python3 ivigtrack/local/environment.py requirements.txt`, run by its path: the packages that the rest of the project
imports are what it installs.
"""

import fcntl
import hashlib
import re
import subprocess
import sys
import venv
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

OLDEST_PYTHON = (3, 11)
# The file in the environment that says what was installed: one line for each requirements file, like sha256sum's.
STAMP = "installed-requirements"
_INCLUDE = re.compile(r"^-r\s+(\S+)", re.MULTILINE)


class CannotPrepare(Exception):
    """Something that only a person can put right is missing; the message says what to do."""


def files_of(requirements: Path) -> Iterator[Path]:
    """The requirements file and those that it includes by `-r`, each once."""
    yield requirements
    for included in _INCLUDE.findall(requirements.read_text()):
        yield from files_of(requirements.parent / included)


def wanted(requirements: Path) -> dict[str, str]:
    """File name to SHA-256 for a requirements file and all that it includes."""
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files_of(requirements)}


def read_stamp(stamp: Path) -> dict[str, str]:
    """File name to SHA-256 of what was installed; empty when there is no stamp."""
    if not stamp.exists():
        return {}
    lines = (line.split(maxsplit=1) for line in stamp.read_text().splitlines())
    return {line[1]: line[0] for line in lines if len(line) == 2}


def write_stamp(stamp: Path, installed: dict[str, str]) -> None:
    stamp.write_text("".join(f"{digest}  {name}\n" for name, digest in sorted(installed.items())))


def prepare(environment: Path, requirements: Path) -> None:
    """Bring the environment up to the requirements file; does nothing when it is.

    Raises CannotPrepare when this Python cannot make an environment or the installation fails.
    """
    python = environment / "bin" / "python"
    if not _works(python):
        _make(environment)
    stamp = environment / STAMP
    have, want = read_stamp(stamp), wanted(requirements)
    if want.items() <= have.items():
        return
    print(f"Installing {requirements.name} into {environment}. The first time this takes a minute or two.", flush=True)
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(requirements)]
    if subprocess.run(command).returncode != 0:
        raise CannotPrepare("The packages could not be installed; pip's own message is above. Is there a network?")
    write_stamp(stamp, have | want)


def _works(python: Path) -> bool:
    """True when the environment's interpreter is there, new enough and has pip."""
    if not python.exists():
        return False
    check = f"import sys, pip; sys.exit(sys.version_info < {OLDEST_PYTHON})"
    return subprocess.run([str(python), "-c", check], stderr=subprocess.DEVNULL).returncode == 0


def _make(environment: Path) -> None:
    if sys.version_info < OLDEST_PYTHON:
        raise CannotPrepare(f"IVIGTrack needs Python 3.11 or newer; {sys.executable} is {sys.version.split()[0]}.")
    if find_spec("ensurepip") is None:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise CannotPrepare(
            f"{sys.executable} cannot make a virtual environment, because its module ensurepip is missing."
            f" On Debian or Ubuntu: apt-get install python{version}-venv"
        )
    print(f"Making {environment} with Python {sys.version.split()[0]}.", flush=True)
    venv.create(environment, clear=True, with_pip=True)


def main(root: Path, requirements: str) -> int:
    """Prepare `root`/.venv for a requirements file of `root`; two calls at once take turns. Returns the exit code."""
    state = root / "var"
    state.mkdir(exist_ok=True)
    with (state / "environment.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            prepare(root / ".venv", root / requirements)
        except CannotPrepare as problem:
            print(problem, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parents[2], sys.argv[1]))
