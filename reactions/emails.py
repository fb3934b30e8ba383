"""One function per message. Subject, text and HTML come from templates/emails/.

Nothing here names the patient, a drug, a diagnosis or a symptom: ordinary email is open to anyone on its way.
"""

from email.utils import formataddr, parseaddr

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.utils import timezone
from django.utils.dateformat import format as formatted

from patients.models import Clinic
from reactions.models import Alert, CheckIn, OutboxMessage, WorkItem
from reactions.vocabulary import MailKind
from reactions.wording import text_of


def render(message: OutboxMessage) -> EmailMultiAlternatives:
    """The mail of an outbox row, as the texts and the row's subject stand now, under the row's Message-ID."""
    if message.kind == MailKind.CHECKIN_INVITATION and message.checkin:
        mail = checkin_invitation(message.checkin, link=f"{settings.SITE_URL}{message.checkin.link_path()}")
    elif message.kind == MailKind.ALERT and message.alert and message.recipient:
        mail = alert_notice(message.alert, to=message.recipient.email)
    elif message.kind == MailKind.WORK and message.work and message.recipient:
        mail = work_notice(message.work, to=message.recipient.email)
    else:
        raise ValueError(f"An outbox row of kind {message.kind} has nothing to be about.")
    mail.extra_headers["Message-ID"] = message.message_id
    return mail


def checkin_invitation(checkin: CheckIn, *, link: str) -> EmailMultiAlternatives:
    """Asks the patient how they have been since an infusion."""
    patient = checkin.infusion.patient
    with timezone.override(patient.zone):
        closes_at = formatted(timezone.localtime(checkin.closes_at), "l, F j, H:i")
        context = {"clinic": patient.clinic, "link": link, "closes_at": closes_at}
        return _compose("checkin_invitation", patient.clinic, patient.email, context)


def alert_notice(alert: Alert, *, to: str) -> EmailMultiAlternatives:
    """Tells a clinician that an alert waits behind the sign-in, and how urgent it is."""
    clinic = alert.patient.clinic
    context = {"clinic": clinic, "level": alert.level, "link": f"{settings.SITE_URL}/alerts/"}
    return _compose("alert_notice", clinic, to, context)


def work_notice(item: WorkItem, *, to: str) -> EmailMultiAlternatives:
    """Tells an administrator that something new stands on the worklist, behind the sign-in."""
    context = {"clinic": item.clinic, "link": f"{settings.SITE_URL}/worklist/"}
    return _compose("work_notice", item.clinic, to, context)


def _compose(name: str, clinic: Clinic, to: str, context: dict[str, object]) -> EmailMultiAlternatives:
    address = parseaddr(settings.DEFAULT_FROM_EMAIL)[1]
    mail = EmailMultiAlternatives(
        subject=text_of(f"emails/{name}.subject.txt", context).strip(),
        body=text_of(f"emails/{name}.txt", context),
        from_email=formataddr((clinic.name_in_mail, address)),
        to=[to],
        headers={"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All"},
    )
    mail.attach_alternative(text_of(f"emails/{name}.html", context), "text/html")
    return mail
