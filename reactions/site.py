"""May this host send what this database plans?

A database that was restored from a backup, or copied to another machine to try something, holds check-ins that
somebody else has sent or will send. So the database carries a random site id and the host has its own: the setting
IVIGTRACK_SITE_ID, or the file `site-id` in IVIGTRACK_VAR, which the first migration writes. Where the two differ
nothing leaves, not even an alert, and every staff page says so; `manage.py adopt_site` makes the host the sender.

The file also holds a digest of the machine's id, where the machine has one, so that a copy of the whole folder to
another machine, database and file together, is noticed too. A host that finds no id of its own is never made the
sender by itself: it may be a second host of the same installation, or a stranger with a copy.

Links and the digests by which addresses are compared come from SECRET_KEY. To a host with another key every address
looks changed: two such hosts would mail the same patients in turn. So the database also tells the sender's key.
"""

import hashlib
import logging
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import connections, transaction

from patients.digests import keyed_text
from reactions.models import Site

logger = logging.getLogger(__name__)

MACHINE_ID = Path("/etc/machine-id")

NO_ROW = "No mail is sent: this database has no site id yet. Run “manage.py migrate”."
NO_OWN_ID = (
    "No mail is sent from this host: it has no site id of its own. Whoever runs it gives it the IVIGTRACK_SITE_ID of "
    "the installation that sends, or makes it the sender with “manage.py adopt_site”."
)
OTHER_ID = (
    "No mail is sent: this database belongs to another host. It was restored from a backup or copied. If this host is "
    "to become the sender, whoever runs it calls “manage.py adopt_site”."
)

OTHER_KEY = (
    "No mail is sent: this host has another SECRET_KEY than the one that made the links in the mails so far. Give it "
    "that key. If the key was changed on purpose, whoever runs it calls “manage.py adopt_site”."
)


@dataclass(frozen=True)
class OwnId:
    """The host's site id, empty when it has none; `copied` when the file was made on another machine."""

    site_id: str = ""
    copied: bool = False


def own_id() -> OwnId:
    """This host's id: the setting, else what is kept in the file."""
    if settings.IVIGTRACK_SITE_ID:
        return OwnId(settings.IVIGTRACK_SITE_ID)
    try:
        kept = _file().read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError):
        return OwnId()
    if not kept:
        return OwnId()
    machine = _machine()
    return OwnId(kept[0], copied=bool(machine) and len(kept) > 1 and kept[1] != machine)


def sending_is_stopped() -> str:
    """Why nothing may leave from this host, in words; empty when it may send."""
    return why_stopped(Site.objects.first(), own_id())


def why_stopped(stored: Site | None, own: OwnId) -> str:
    """The same by a stored row that is known already; None when the database has none."""
    if stored is None:
        return NO_ROW
    if not own.site_id:
        return NO_OWN_ID
    if own.copied or own.site_id != stored.site_id:
        return OTHER_ID
    return OTHER_KEY if has_other_key(stored) else ""


def has_other_key(stored: Site | None) -> bool:
    """The sender had another SECRET_KEY. A row of before that was noted tells nothing."""
    return stored is not None and stored.key_digest not in {"", _key_digest()}


def name_database(*, using: str) -> None:
    """Give a database that has no site id this host's, which is made and kept if the host has none, and its key's mark.

    Idempotent.
    """
    if Site._meta.db_table not in connections[using].introspection.table_names():
        return  # migrated back to before there was one
    sites = Site.objects.using(using)
    sites.filter(key_digest="").update(key_digest=_key_digest())
    if sites.exists():
        return
    own = own_id()
    site_id = own.site_id
    if own.copied:
        site_id = new_id()
        _keep(site_id)
    elif not site_id:
        site_id = new_id()
        site_id = _keep(site_id, unless_there=True)
    sites.get_or_create(id=1, defaults={"site_id": site_id, "key_digest": _key_digest()})


@transaction.atomic
def make_sender() -> str:
    """Make this host the only sender of the database and return the id, which is in the setting or kept in the file.

    Raises OSError when the file cannot be written; the database is then as it was.
    """
    site_id: str = settings.IVIGTRACK_SITE_ID or new_id()
    Site.objects.update_or_create(id=1, defaults={"site_id": site_id, "key_digest": _key_digest()})
    if not settings.IVIGTRACK_SITE_ID:
        _write(site_id)
    return site_id


def _key_digest() -> str:
    return keyed_text("reactions.site", "key")


def new_id() -> str:
    return secrets.token_hex(16)


def _keep(site_id: str, *, unless_there: bool = False) -> str:
    """Write the file; returns the id that it holds. Where it cannot be written the log says what to set instead."""
    try:
        if not unless_there:
            _write(site_id)
        else:
            _write_first(site_id)
            return own_id().site_id or site_id
    except OSError as error:
        said = "the site id could not be kept in %s (%s); this host sends nothing until IVIGTRACK_SITE_ID=%s is set"
        logger.error(said, _file(), error.strerror, site_id)
    return site_id


def _write(site_id: str) -> None:
    draft = _draft(site_id)
    draft.replace(_file())


def _write_first(site_id: str) -> None:
    """Whole or not at all, and the first one wins: several processes may set up their databases at once."""
    draft = _draft(site_id)
    try:
        os.link(draft, _file())
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _draft(site_id: str) -> Path:
    file = _file()
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    draft.write_text(f"{site_id}\n{_machine()}\n", encoding="utf-8")
    return draft


def _file() -> Path:
    return Path(settings.IVIGTRACK_SITE_ID_FILE)


def _machine() -> str:
    """A digest of the machine's id; empty where it has none, as in most containers."""
    try:
        name = MACHINE_ID.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
    if not name or name == "uninitialized":
        return ""
    return hashlib.sha256(f"ivigtrack.site {name}".encode()).hexdigest()[:16]
