"""django-post-office beside it, in a process and a database of its own, with the settings that it comes with.

`python -m tests.benchmarks.post_office fill N` queues N mails; `… send` prints a line when it is ready, sends
them after the next line that it reads, and prints how many left.
"""

import logging
import sys
import warnings
from email.utils import formataddr

import django
import environ
from django.conf import settings

env = environ.Env()

settings.configure(
    SECRET_KEY="of a benchmark",
    DATABASES={"default": env.db_url("DATABASE_URL")},
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "post_office"],
    EMAIL_BACKEND="post_office.EmailBackend",
    EMAIL_HOST=env.email_url("EMAIL_URL")["EMAIL_HOST"],
    EMAIL_PORT=env.email_url("EMAIL_URL")["EMAIL_PORT"],
    EMAIL_TIMEOUT=20,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    TEMPLATES=[
        {"BACKEND": "django.template.backends.django.DjangoTemplates"},
        {"BACKEND": "post_office.template.backends.post_office.PostOfficeTemplates", "APP_DIRS": True},
    ],
    USE_TZ=True,
    LOGGING_CONFIG=None,
)
warnings.simplefilter("ignore")
django.setup()

from django.core.management import call_command  # noqa: E402 - Django has to be there first
from post_office import mail, models  # noqa: E402

TEXT = """Hello,

How have you been since your last visit? Please tell us in a minute or two:

http://127.0.0.1:8000/c/8xODEqjIdHbxmTUgIXf4vu0Q/

You can answer until Friday, November 27, 10:25. The link is for you alone.

If you think it is an emergency, call 911. Do not wait for a mail.
"""


def fill(mails: int) -> None:
    call_command("migrate", verbosity=0)
    models.Log.objects.all().delete()
    models.Email.objects.all().delete()
    sender = formataddr(("Synthetic Clinic", "check-in@clinic.example"))
    mail.send_many(
        {
            "sender": sender,
            "recipients": [f"patient{number}@patients.example"],
            "subject": "A short question from Synthetic Clinic",
            "message": TEXT,
            "html_message": f"<html><body><p>{TEXT}</p></body></html>",
        }
        for number in range(mails)
    )


def send() -> None:
    logging.disable(logging.INFO)
    models.Email.objects.exists()
    print("ready", flush=True)
    input()
    sent = 0
    while (done := mail.send_queued())[0]:
        sent += done[0]
    print(sent, flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "fill":
        fill(int(sys.argv[2]))
    else:
        send()
