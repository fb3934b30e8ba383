"""The people of the tests, and the real parts beside them: broker, mail server, worker, browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from django.conf import settings as django_settings
from pytest_django import Settings
from redis import Redis

from ivigtrack.local import broker as local_broker
from ivigtrack.local import ports, processes
from patients.models import Clinic, Patient, User
from patients.words import StaffRoleName
from reactions.models import Infusion, Product
from tests.support import chromium, network
from tests.support.celery_worker import connected_to, start_worker
from tests.support.factories import make_infusion, make_patient, make_staff, privigen
from tests.support.flushing import let_tests_empty_the_trail
from tests.support.signing_in import let_clients_sign_in
from tests.support.smtp_sink import SmtpSink

DATABASE_FIXTURES = {"db", "transactional_db", "django_db_reset_sequences", "django_db_serialized_rollback"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database-only", action="store_true", help="Only the tests that use a database.")


def pytest_configure(config: pytest.Config) -> None:
    network.allow_only_loopback()
    let_tests_empty_the_trail()
    let_clients_sign_in()
    # A machine that is busy says nothing against what a test tries.
    hypothesis.settings.register_profile("without deadline", deadline=None)
    hypothesis.settings.load_profile("without deadline")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--database-only"):
        others = [item for item in items if not _uses_database(item)]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if _uses_database(item)]


def _uses_database(item: pytest.Item) -> bool:
    fixtures = set(getattr(item, "fixturenames", ()))
    return item.get_closest_marker("django_db") is not None or bool(fixtures & DATABASE_FIXTURES)


@pytest.fixture
def clinic(db: None) -> Clinic:
    return Clinic.objects.create(
        name="Synthetic Infusion Clinic", slug="synthetic", time_zone="America/New_York", phone="+1 555 0100"
    )


@pytest.fixture
def other_clinic(db: None) -> Clinic:
    return Clinic.objects.create(
        name="Other Test Clinic",
        slug="other",
        time_zone="Europe/Paris",
        phone="+33 1 99 00 00 00",
        emergency_number="112",
    )


@pytest.fixture
def nurse(clinic: Clinic) -> User:
    return make_staff(clinic, "nurse", first_name="Nora", last_name="Test")


@pytest.fixture
def administrator(clinic: Clinic) -> User:
    return make_staff(clinic, "admin", StaffRoleName.ADMINISTRATOR, first_name="Ada", last_name="Test")


@pytest.fixture
def other_nurse(other_clinic: Clinic) -> User:
    return make_staff(other_clinic, "other-nurse", first_name="Odile", last_name="Test")


@pytest.fixture
def patient(clinic: Clinic, nurse: User) -> Patient:
    """In the nurse's clinic; agreed to email."""
    return make_patient(clinic, given_name="Tessa", family_name="Synthetic", email="tessa@patients.example")


@pytest.fixture
def product(db: None) -> Product:
    return privigen()


@pytest.fixture
def infusion(patient: Patient, product: Product) -> Infusion:
    """30 g in 4 hours at 70 kg, without premedication, ended 25 hours ago. No check-ins are planned for it."""
    return make_infusion(patient, product=product)


@pytest.fixture(scope="session")
def broker_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real broker."""
    folder = tmp_path_factory.mktemp("broker")
    server, url = local_broker.start(folder, log=folder / "broker.log")
    yield url
    processes.stop([server], patience=5)


@pytest.fixture
def broker(broker_server: str) -> Iterator[str]:
    """The address of a real, empty broker, to which Celery in this process is connected."""
    with Redis.from_url(broker_server) as client:
        client.flushall()
    with connected_to(broker_server):
        yield broker_server


@pytest.fixture
def no_broker() -> Iterator[None]:
    """The broker's address leads nowhere."""
    with connected_to(f"redis://127.0.0.1:{ports.any_free()}/0"):
        yield


@pytest.fixture
def smtp_sink(settings: Settings) -> Iterator[SmtpSink]:
    """A real mail server, to which Django in this process sends."""
    with SmtpSink() as sink:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", sink.port
        yield sink


@pytest.fixture
def celery_worker_process(
    request: pytest.FixtureRequest, transactional_db: None, broker: str, smtp_sink: SmtpSink, tmp_path: Path
) -> Iterator[processes.Child]:
    """A real worker on the test's database, broker and mail server; its links lead to `live_server` if that is used."""
    live = "live_server" in request.fixturenames
    site_url = request.getfixturevalue("live_server").url if live else django_settings.SITE_URL
    worker = start_worker(broker_url=broker, email_url=smtp_sink.url, site_url=site_url, log=tmp_path / "worker.log")
    yield worker
    processes.stop([worker], patience=10)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    return browser_type_launch_args | {"executable_path": chromium.find(), "args": list(chromium.ARGUMENTS)}
