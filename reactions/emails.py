"""One function per message. Subject, text and HTML come from templates/emails/.

Nothing here names the patient, a drug, a diagnosis or a symptom: ordinary email is open to anyone on its way. What
patients get is in their language, what staff get is in English.

A further mail to patients is a kind in `TO_PATIENTS` with the name of its templates: subject, text and HTML.
"""

from datetime import datetime
from email.utils import formataddr, parseaddr
from functools import lru_cache
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.utils import translation
from django.utils.formats import date_format
from django.utils.translation import pgettext

from patients.models import Clinic
from reactions.models import Alert, CheckIn, OutboxMessage, ReportLink, WorkItem
from reactions.vocabulary import MailKind
from reactions.wording import texts_of

# Mails about a check-in, and the name of their templates.
TO_PATIENTS = {
    MailKind.CHECKIN_INVITATION: "checkin_invitation",
    MailKind.CHECKIN_REMINDER: "checkin_reminder",
}
STAFF_LANGUAGE = "en"
# Subject of a mail that asks to be left alone (RFC 2369), followed by the token of the link.
STOP_SUBJECT = "stop"


def render(message: OutboxMessage) -> EmailMultiAlternatives:
    """The mail of an outbox row, as the texts and the row's subject stand now, under the row's Message-ID.

    Raises ValueError for a row that is about nothing which its kind can be about.
    """
    kind = MailKind(message.kind)
    if kind in TO_PATIENTS and message.checkin:
        mail = to_patient(TO_PATIENTS[kind], message.checkin, link=f"{settings.SITE_URL}{message.checkin.link_path()}")
    elif kind == MailKind.ALERT and message.alert and message.recipient:
        mail = alert_notice(message.alert, to=message.recipient.email)
    elif kind == MailKind.WORK and message.work and message.recipient:
        mail = work_notice(message.work, to=message.recipient.email)
    else:
        raise ValueError(f"An outbox row of kind {message.kind} has nothing to be about.")
    mail.extra_headers["Message-ID"] = message.message_id
    return mail


def to_patient(name: str, checkin: CheckIn, *, link: str) -> EmailMultiAlternatives:
    """A mail about a check-in, from the templates of this name, in the patient's language and on their clocks.

    It can be stopped with one press (RFC 8058), and an answer to it reaches the clinic where it has an address for it.
    """
    patient = checkin.infusion.patient
    stop_link = f"{settings.SITE_URL}{checkin.stop_path()}"
    gaps = {
        "link": link,
        "report_link": f"{settings.SITE_URL}{ReportLink.of(patient).link_path()}",
        "stop_link": stop_link,
        "closes_at": _to_the_minute(checkin.closes_at.replace(second=0, microsecond=0), patient.zone, patient.language),
    }
    mail = _compose(name, patient.clinic, patient.email, patient.language, {}, gaps)
    if patient.clinic.reply_to:
        mail.reply_to = [patient.clinic.reply_to]
    mail.extra_headers |= _ways_to_stop(stop_link)
    return mail


@lru_cache(maxsize=1000)
def _to_the_minute(moment: datetime, zone: ZoneInfo, language: str) -> str:
    """A moment of whole minutes as the language writes it, on the clocks of the zone."""
    with translation.override(language):
        return date_format(moment.astimezone(zone), pgettext("form of a moment", "l, F j, H:i"))


def alert_notice(alert: Alert, *, to: str) -> EmailMultiAlternatives:
    """Tells staff that an alert waits behind the sign-in, how urgent it is, and since when on the clinic's clocks."""
    clinic = alert.patient.clinic
    since = f"{alert.raised_at.astimezone(clinic.zone):%Y-%m-%d %H:%M}"
    return _to_staff("alert_notice", clinic, to, {"level": alert.level}, page="/alerts/", since=since)


def work_notice(item: WorkItem, *, to: str) -> EmailMultiAlternatives:
    """Tells an administrator that something new stands on the worklist, behind the sign-in."""
    return _to_staff("work_notice", item.clinic, to, {}, page="/worklist/")


def _to_staff(
    name: str, clinic: Clinic, to: str, about: dict[str, object], *, page: str, **gaps: str
) -> EmailMultiAlternatives:
    return _compose(name, clinic, to, STAFF_LANGUAGE, {"link": f"{settings.SITE_URL}{page}"} | about, gaps)


def _ways_to_stop(stop_link: str) -> dict[str, str]:
    """List-Unsubscribe (RFC 2369) and its one-click form (RFC 8058): a POST to the link is enough."""
    ways = [f"<{stop_link}>"]
    if settings.UNSUBSCRIBE_ADDRESS:
        token = stop_link.rpartition("/")[2]
        ways.append(f"<mailto:{settings.UNSUBSCRIBE_ADDRESS}?subject={STOP_SUBJECT}%20{token}>")
    return {"List-Unsubscribe": ", ".join(ways), "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}


def _compose(
    name: str, clinic: Clinic, to: str, language: str, about: dict[str, object], gaps: dict[str, str]
) -> EmailMultiAlternatives:
    texts = texts_of(name, language, {"clinic": clinic, "language": language} | about, gaps)
    mail = EmailMultiAlternatives(
        subject=texts.subject,
        body=texts.plain,
        from_email=_sender(clinic.name_in_mail, settings.DEFAULT_FROM_EMAIL),
        to=[to],
        # "All" would also keep back the notice that a mail could not be delivered, which is what we live on.
        headers={"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "OOF, AutoReply, DR, RN, NRN"},
    )
    mail.attach_alternative(texts.html, "text/html")
    return mail


@lru_cache(maxsize=1000)
def _sender(name: str, configured: str) -> str:
    return formataddr((name, parseaddr(configured)[1]))
