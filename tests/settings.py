"""The product's settings, made quick for tests and kept away from var/ and from any broker that happens to run."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

if "IVIGTRACK_TEST_DIR" not in os.environ:
    # One folder a run: the processes that pytest-xdist starts inherit it from the first.
    os.environ["IVIGTRACK_TEST_DIR"] = tempfile.mkdtemp(prefix="ivigtrack-tests-")
    atexit.register(shutil.rmtree, os.environ["IVIGTRACK_TEST_DIR"], ignore_errors=True)
TEST_DIR = Path(os.environ["IVIGTRACK_TEST_DIR"])
os.environ["IVIGTRACK_VAR"] = str(TEST_DIR)
os.environ["REDIS_URL"] = "memory://"

from ivigtrack.settings import *  # noqa: E402, F403 - the environment above must be there first
from ivigtrack.settings import DATABASES, MIDDLEWARE, STATIC_ROOT, STORAGES  # noqa: E402

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Without the manifest, so that no `collectstatic` has to go before.
STORAGES = STORAGES | {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
# A journey ends when the last request of its browsers is answered.
MIDDLEWARE = ["tests.support.in_flight.count_requests", *MIDDLEWARE]
STATIC_ROOT.mkdir(exist_ok=True)

if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # A file, not memory: a second connection or process then meets the same locks as in the product.
    DATABASES["default"]["TEST"] = {"NAME": str(TEST_DIR / "tests.sqlite3")}
    DATABASES["default"]["OPTIONS"] |= {
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;",
    }
