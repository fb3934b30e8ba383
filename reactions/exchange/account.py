"""Under which account a log goes in or out, so that the history names somebody every time."""

from patients.models import User

IMPORTER = "import"
EXPORTER = "export"


class NoSuchAccount(ValueError):
    """Nobody has the user name; the message says so."""


def named_account(username: str) -> User | None:
    """The account with the user name; None without a name. Raises NoSuchAccount."""
    if not username:
        return None
    user = User.objects.filter(username=username).first()
    if user is None:
        raise NoSuchAccount(f"There is no account “{username}”.")
    return user


def service_account(name: str) -> User:
    """The service's own account, which nobody can sign in with; made when it is first needed."""
    service, _ = User.objects.get_or_create(username=name, defaults={"is_active": False, "password": "!"})
    return service
