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


def test_the_console_writes_through_the_filter() -> None:
    assert settings.LOGGING["handlers"]["console"]["filters"] == ["no_links"]
