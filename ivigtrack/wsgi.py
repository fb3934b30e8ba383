"""The web process."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ivigtrack.settings")

application = get_wsgi_application()

from ivigtrack.fitness import must_be_fit  # noqa: E402 - settings have to be there first

must_be_fit()
