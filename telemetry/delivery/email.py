"""By e-mail, through the installation's own mail server. Repetitions and the end answer the first message."""

from __future__ import annotations

import smtplib

from django.conf import settings
from django.core.mail import EmailMessage

from telemetry.delivery.letter import Address, Kind, Letter, NotSent
from telemetry.delivery.wording import facts, headline
from telemetry.redaction import redact_text
from telemetry.visible import visible

NO_SERVER = "No mail server is set: EMAIL_URL is empty."


def send(address: Address, letter: Letter) -> str:
    """The mail server has it for every recipient. Raises NotSent."""
    if not settings.TELL_BY_EMAIL:
        raise NotSent(NO_SERVER, again=False)
    if not address.recipients:
        raise NotSent("The channel names no recipient.", again=False)
    message = EmailMessage(
        subject=f"[{letter.message['environment']}] {headline(letter)}",
        body=text_of(letter),
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=list(address.recipients),
        headers=_headers(letter),
    )
    try:
        message.send()
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        raise NotSent(f"No recipient was accepted ({codes[0]}).", again=any(code < 500 for code in codes)) from None
    except smtplib.SMTPResponseException as error:
        detail = f"The mail server answered {error.smtp_code}: {_words(error.smtp_error)}"
        raise NotSent(detail, again=error.smtp_code < 500) from None
    except (OSError, smtplib.SMTPException) as error:
        raise NotSent(f"The mail server can't be used: {type(error).__name__}.", again=True) from None
    count = len(address.recipients)
    return f"The mail server took it for {count} recipient{'' if count == 1 else 's'}."


def _words(said: bytes | str) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return visible(redact_text(text, 120))


def _headers(letter: Letter) -> dict[str, str]:
    """A message that is sent twice is the same message; those of one episode are one thread."""
    host = settings.DEFAULT_FROM_EMAIL.rpartition("@")[2].strip("<> ") or "localhost"
    headers = {"Message-ID": f"<{letter.id}@{host}>", "Auto-Submitted": "auto-generated"}
    first = f"<{letter.thread}@{host}>"
    headers["References"] = first
    if letter.kind in (Kind.REPEAT, Kind.RESOLVED):
        headers["In-Reply-To"] = first
    return headers


def text_of(letter: Letter) -> str:
    lines = [headline(letter), "", *(f"{name}: {value}" for name, value in facts(letter))]
    if letter.message["description"]:
        lines += ["", letter.message["description"]]
    if letter.message["page"]:
        lines += ["", letter.message["page"]]
    return "\n".join([*lines, ""])
