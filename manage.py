#!/usr/bin/env python
"""Django's command line for IVIGTrack."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ivigtrack.settings")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        # Such as keys that do not fit the database: what to do stands in the words.
        sys.exit(str(error))
