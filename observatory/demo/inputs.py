"""What the demonstration's tools take and refuse: texts, money, IBANs, moments, ids."""

import datetime as dt
import re
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from observatory.demo.models import Customer
from tools.registry import ToolError

LARGEST_ID = 2**63 - 1  # PostgreSQL's own range; beyond it there is nothing either
Amount = Annotated[float, Field(gt=0, le=1_000_000, description="At most two decimals.")]
Code = Annotated[str, Field(min_length=1, max_length=40)]
Reason = Annotated[str, Field(min_length=3, max_length=300)]
_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")


def refuse_nul(*texts: str) -> None:
    """PostgreSQL text holds everything but NUL."""
    if any("\x00" in text for text in texts):
        raise ToolError("A text holds the character NUL, which can't be stored.")


def customer_of(customer_id: int) -> Customer:
    found = Customer.objects.filter(pk=customer_id).first() if 0 < customer_id <= LARGEST_ID else None
    if found is None:
        raise ToolError(f"There is no customer {customer_id}.")
    return found


def money(amount: float) -> Decimal:
    """The amount in whole cents."""
    exact = Decimal(repr(amount))
    cents = exact.quantize(Decimal("0.01"))
    if cents != exact:
        raise ToolError("An amount has at most two decimals.")
    return cents


def iban(text: str) -> str:
    """The IBAN without spaces, its checksum right. Source: ISO 13616, the remainder by 97 is 1."""
    compact = text.replace(" ", "")
    if not _IBAN.fullmatch(compact):
        raise ToolError("That is not an IBAN: two letters, two digits, then 11 to 30 letters and digits.")
    turned = compact[4:] + compact[:4]
    if int("".join(str(int(character, 36)) for character in turned)) % 97 != 1:
        raise ToolError("The IBAN's checksum is wrong.")
    return compact


def day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise ToolError("A date is written as in ISO 8601, e.g. 2027-04-01.") from None


def moment(text: str) -> dt.datetime:
    """A moment with its offset, for half past nine is another moment in each time zone."""
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.utcoffset() is None:
        raise ToolError("A slot is written as in ISO 8601 with its offset, e.g. 2027-03-04T09:30:00+01:00.")
    try:
        return found.astimezone(dt.UTC)
    except OverflowError:
        raise ToolError("There is no such moment.") from None
