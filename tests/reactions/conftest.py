"""What tests of infusions and reactions share."""

import pytest
from django.test import Client

from patients.models import User


@pytest.fixture
def page(client: Client, nurse: User) -> Client:
    """A browser without a script in which the nurse is signed in."""
    client.force_login(nurse)
    return client
