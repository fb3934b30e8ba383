"""Mail as servers send it back, made up after RFC 3464 and after what Postfix and Exim write."""

from email.message import EmailMessage

POSTFIX = """\
From: MAILER-DAEMON@mx.clinic.example (Mail Delivery System)
To: check-in@clinic.example
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="4F1C2.1700000000/mx.clinic.example"

--4F1C2.1700000000/mx.clinic.example
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

This is the mail system at host mx.clinic.example.

--4F1C2.1700000000/mx.clinic.example
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.clinic.example
X-Postfix-Queue-ID: 4F1C2
Arrival-Date: Wed, 25 Nov 2026 10:00:00 +0000 (UTC)

Final-Recipient: rfc822; {recipient}
Original-Recipient: rfc822;{recipient}
Action: {action}
Status: {status}
Remote-MTA: dns; mx.patients.example
Diagnostic-Code: smtp; {said}

--4F1C2.1700000000/mx.clinic.example
{returned}
--4F1C2.1700000000/mx.clinic.example--
"""
HEADERS = """\
Content-Description: Undelivered Message Headers
Content-Type: text/rfc822-headers

Message-ID: {message_id}
Subject: A short question from Synthetic Infusion Clinic
To: {recipient}
"""
WHOLE = """\
Content-Description: Undelivered Message
Content-Type: message/rfc822

Message-ID: {message_id}
Subject: A short question from Synthetic Infusion Clinic
To: {recipient}

Hello,
"""


def returned_mail(
    message_id: str,
    *,
    recipient: str = "tessa@patients.example",
    action: str = "failed",
    status: str = "5.1.1",
    said: str = "550 5.1.1 <tessa@patients.example>: Recipient address rejected: User unknown",
    whole: bool = False,
) -> bytes:
    """A report that the mail with this Message-ID came back, with the mail or with its headers alone."""
    returned = (WHOLE if whole else HEADERS).format(message_id=message_id, recipient=recipient)
    text = POSTFIX.format(recipient=recipient, action=action, status=status, said=said, returned=returned)
    return text.replace("\n", "\r\n").encode()


def ordinary_mail(subject: str, text: str = "Hello") -> bytes:
    """A mail that somebody wrote."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "somebody@patients.example", "check-in@clinic.example", subject
    mail.set_content(text)
    return mail.as_bytes()
