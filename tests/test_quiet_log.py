"""No link by which a patient answers stands in the log."""

import logging
from io import StringIO

import pytest
from django.conf import settings
from django.test import Client

from ivigtrack.quiet_log import WithoutLinks
from reactions.models import Infusion
from tests.support.factories import make_checkins

pytestmark = pytest.mark.django_db


def test_no_link_that_answers_stands_in_the_log(client: Client, infusion: Infusion) -> None:
    make_checkins(infusion)
    checkin = infusion.checkins.earliest("due_at")
    link, stop = checkin.link_path(), checkin.stop_path()
    written = StringIO()
    handler = logging.StreamHandler(written)
    handler.addFilter(WithoutLinks())
    logging.getLogger("django.request").addHandler(handler)
    try:
        client.put(link)
        client.get(f"{link}nothing-here/")
        client.put(stop)
    finally:
        logging.getLogger("django.request").removeHandler(handler)
    assert written.getvalue().count("/c/") >= 3
    assert link.split("/")[2] not in written.getvalue()
    assert stop.split("/")[3] not in written.getvalue()


@pytest.mark.parametrize("token", ["sBzx3pg5nBCKIh", "aBs4sQss_x", "0-9_ZZ", "cs1abc-0123ssss"])
@pytest.mark.parametrize("path", ["/c/{}/", "/c/stop/{}/", "/c/{}/problems/", "/invitation/MQ/{}/", '"/c/{}" 404'])
def test_no_piece_of_a_token_is_left(token: str, path: str) -> None:
    record = logging.LogRecord("x", logging.WARNING, "x", 1, "Not Found: %s", (path.format(token),), None)
    assert WithoutLinks().filter(record)
    assert record.getMessage() == f"Not Found: {path.format('…')}"


def test_the_console_writes_through_the_filter() -> None:
    assert settings.LOGGING["handlers"]["console"]["filters"] == ["no_links"]
