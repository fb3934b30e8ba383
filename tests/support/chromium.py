"""The browser of the journeys: one that is there, or Debian's."""

import os
import re
import shutil
import subprocess

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PACKAGES = ("chromium", "fonts-dejavu-core")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    # A container's shared memory is often too small for the picture of a long page.
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class NoBrowser(Exception):
    """There is no browser and none could be installed; the message says what to install."""


def find() -> str:
    """The path of a Chromium or Chrome. Raises NoBrowser."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        raise NoBrowser(
            "The browser journeys need Chromium or Chrome, and none is installed."
            f" On Debian or Ubuntu, as root: apt-get install {' '.join(PACKAGES)}"
        )
    return path


def find_or_install() -> str:
    """The path of a browser, installed from Debian's packages where that can be done. Raises NoBrowser."""
    if not any(map(shutil.which, NAMES)) and os.geteuid() == 0 and shutil.which("apt-get"):
        print("Installing Chromium from Debian's packages.", flush=True)
        env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for arguments in (["update"], ["install", "-y", "--no-install-recommends", *PACKAGES]):
            if subprocess.run(["apt-get", "-qq", *arguments], env=env).returncode != 0:
                break
    return find()


def version(path: str) -> str:
    """The browser's version, such as “156.0.8078.73”."""
    output = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    match = re.search(r"\d+(\.\d+)+", output)
    return match[0] if match else output.strip()
