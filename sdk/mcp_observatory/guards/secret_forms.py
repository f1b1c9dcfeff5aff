"""The shapes that secrets and personal data have in a text: one table, which detectors may read and extend.

Every pattern either matches or gives up within a bounded number of steps, so a text costs time in proportion to its
length; what a pattern can't decide, a checksum does. Source: ISO/IEC 7812 (Luhn), ISO 13616 (IBAN), RFC 7519, RFC 7617.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

# Where the secret that begins at this match ends, or None where it is none after all.
Extent = Callable[[re.Match[str]], int | None]
# As a plain number: with the enumeration's member this one test costs more than all the searching.
_ANY_CASE = re.IGNORECASE.value


@dataclass(frozen=True, slots=True)
class Form:
    """A shape of text that is masked wherever it stands.

    Without one of its hints in a text it is not there; where it is of any case, so are they, and are written small.
    """

    name: str
    pattern: re.Pattern[str]
    extent: Extent
    hints: tuple[str, ...] = ()

    def spans(self, text: str) -> Iterable[tuple[int, int]]:
        """Where it stands, in order, no two of them overlapping."""
        read = text.casefold() if self.hints and self.pattern.flags & _ANY_CASE else text
        for hint in self.hints:
            if hint in read:
                return self._spans(text)
        return () if self.hints else self._spans(text)

    def _spans(self, text: str) -> Iterator[tuple[int, int]]:
        end = 0
        for match in self.pattern.finditer(text):
            if match.start() >= end and (extent := self.extent(match)) is not None:
                yield match.start(), extent
                end = extent


def _whole(match: re.Match[str]) -> int:
    return match.end()


def _user_and_password(match: re.Match[str]) -> int | None:
    """All of it, where it decodes to a name and a password (RFC 7617) and is no English word."""
    try:
        decoded = base64.b64decode(match[1] + "=" * (-len(match[1]) % 4))
    except ValueError:
        return None
    return match.end() if b":" in decoded else None


_ENDS_A_URL = re.compile(r"""[\s"'<>]""")
_LONGEST_PASSWORD = 512


def _up_to_the_last_at(match: re.Match[str]) -> int | None:
    """Name, password and the @ behind them. Looked for from the end: the text may be made of beginnings only."""
    text, start = match.string, match.end()
    if text[start - 1] == "@":
        return start if start - match.start() > 1 else None
    at = text.rfind("@", start + 1, start + _LONGEST_PASSWORD + 1)
    if at > 0 and (end := _ENDS_A_URL.search(text, start, at)) is not None:
        at = text.rfind("@", start + 1, end.start())
    return at + 1 if at > 0 else None


# Which first digits go with which lengths; a random number of 16 digits would pass Luhn's check one time in ten.
_CARDS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]|2[2-7])\d{14}|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}|35\d{14}|6\d{15,18}",
    re.ASCII,
)


def _digits_of_a_card(match: re.Match[str]) -> int | None:
    """The longest card number from here, in groups of digits or not, that passes Luhn's check and ends with a group."""
    text, digits, best = match.string, "", None
    position = match.start()
    while len(digits) < 19 and position < len(text):
        char = text[position]
        if "0" <= char <= "9":
            digits += char
            is_end = not "0" <= text[position + 1 : position + 2] <= "9"
            if is_end and len(digits) >= 13 and _CARDS.fullmatch(digits) and _passes_luhn(digits):
                best = position + 1
        elif char not in " -" or not "0" <= text[position - 1] <= "9":
            break
        position += 1
    return best


def _passes_luhn(digits: str) -> bool:
    doubled = (int(digit) * 2 for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(d - 9 if d > 9 else d for d in doubled)) % 10 == 0


_IBAN_LENGTHS = {
    country: length
    for length, countries in {
        15: "NO",
        16: "BE",
        18: "DK FK FI FO GL NL SD",
        19: "MK SI",
        20: "AT BA EE KZ LT LU MN XK",
        21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA",
        23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST",
        26: "IS TR",
        27: "BI DJ FR GR IT MC SM",
        28: "AL AZ BY CY DO GT HU LB NI PL SV",
        29: "BR EG PS QA UA",
        30: "JO KW MU YE",
        31: "MT SC",
        32: "LC",
        33: "RU",
    }.items()
    for country in countries.split()
}
_LETTERS = {chr(code): str(code - 55) for code in range(ord("A"), ord("Z") + 1)}


def _letters_of_an_iban(match: re.Match[str]) -> int | None:
    """As many letters and digits as the country's numbers have, where the checksum fits."""
    length = _IBAN_LENGTHS.get(match[1].upper())
    if length is None:
        return None
    text, position, found = match.string, match.start(), ""
    while len(found) < length and position < len(text):
        char = text[position].upper()
        if char.isascii() and char.isalnum():
            found += char
        elif char not in " -":
            return None
        position += 1
    moved = found[4:] + found[:4]
    is_valid = len(found) == length and int("".join(_LETTERS.get(char, char) for char in moved)) % 97 == 1
    return position if is_valid else None


# The beginning of a word; `\n` in JSON is a line's end, not a letter.
_BEGINS = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrt]))"


def _form(name: str, pattern: str, *hints: str, extent: Extent = _whole, flags: int = 0) -> Form:
    return Form(name, re.compile(pattern, flags), extent, hints)


def _key(name: str, body: str, *prefixes: str) -> Form:
    """What begins with one of a vendor's prefixes, at the beginning of a word."""
    return _form(name, rf"{_BEGINS}(?:{'|'.join(map(re.escape, prefixes))}){body}", *prefixes)


_ASSIGNED = (
    r"(?:passwords?|passwd|passphrase|pwd|secret|token|credentials?|cookie"
    r"|(?:api|access|auth|secret|private|signing|encryption|account)[ _-]?key)"
)

_GITLAB = (
    *("glpat-", "gldt-", "glrt-", "glrtr-", "glptt-", "glcbt-", "glsoat-", "glft-", "glimt-", "glagent-", "gloas-"),
    "GR1348941",
)
# Vendors whose prefix stands for nothing else and whose tokens are letters, digits and little more.
_OTHERS = (
    *("glsa_", "glc_", "NRAK-", "sntrys_", "sntryu_", "figd_", "PMAK-", "r8_", "gsk_", "pplx-", "xai-", "dckr_pat_"),
    *("dckr_oat_", "lin_api_", "ntn_", "ATATT3", "ATCTT3", "rubygems_", "sbp_", "pscale_tkn_", "pscale_pw_", "dp.pt."),
    *(
        "dp.st.",
        "HRKU-AA",
        "sq0atp-",
        "sq0csp-",
        "EAAAl",
        "tfp_",
        "CFPAT-",
        "tskey-",
        "fo1_",
        "cio_",
        "aio_",
        "vercel_",
    ),
)
_KEYS = ("sk-", "sk_", "pk-", "pk_", "rk-", "rk_")
_ANYWHERE = ("AIza", "glpat-", "whsec_")

# Forms that are personal data, or that only the words around them make secret: not a credential by their shape.
_NOT_BY_SHAPE = ("secret", "email", "iban", "card")
# Order matters: a form that holds others (a private key, a URL) stands before them, a vendor's own before "api-key".
FORMS: tuple[Form, ...] = (
    _form(
        "private-key",
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:[^-]|-(?!----))*+(?:-----END [A-Z0-9 ]{0,60}-----)?",
        "PRIVATE KEY",
    ),
    _form("private-key", r"PuTTY-User-Key-File-\d: (?:[^-]|-(?!----))*+", "PuTTY-User-Key-File-"),
    _form("private-key", r"AGE-SECRET-KEY-1[A-Z0-9]{30,}+", "AGE-SECRET-KEY-1"),
    _form("url-credentials", r"""(?<=://)[^\s"'<>/:@]{0,512}+[:@]""", "://", extent=_up_to_the_last_at),
    _form("webhook-url", r"(?<=://)hooks\.slack\.com/(?:services|workflows|triggers)/[\w/-]{16,}+", "hooks.slack.com/"),
    _form(
        "webhook-url", r"(?<=://)(?:\w{1,10}\.)?discord(?:app)?\.com/api/webhooks/\d{15,}+/[\w-]{30,}+", "/webhooks/"
    ),
    _form("webhook-url", r"(?<=://)[\w-]{1,63}\.webhook\.office\.com/webhookb2/[\w@/-]{30,}+", ".webhook.office.com/"),
    _form("own-key", r"mo_[A-Za-z0-9-]{1,32}_[A-Za-z0-9]{8}_[A-Za-z0-9_-]{16,}+", "mo_"),
    _form("commit-token", r"mo1\.[A-Za-z0-9_.-]{8,}+", "mo1."),
    _form("jwt", r"eyJ[A-Za-z0-9_-]{8,}+(?:\.[A-Za-z0-9_-]++){0,4}\.?", "eyJ"),
    _form(
        "aws-key",
        r"(?:AKIA|ASIA|AROA|AIDA|AGPA|ANPA)[A-Z0-9]{16}",
        *("AKIA", "ASIA", "AROA", "AIDA", "AGPA", "ANPA"),
    ),
    _form(
        "github-token",
        r"(?:gh[pousr]_[A-Za-z0-9]{16,}+|github_pat_[A-Za-z0-9_]{16,}+)",
        *("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
    ),
    _form("slack-token", r"(?:xox[a-z]-[A-Za-z0-9-]{8,}+|xapp-[A-Za-z0-9-]{8,}+)", "xox", "xapp-"),
    _key("stripe-key", r"_(?:live|test)_[A-Za-z0-9]{16,}+", "sk", "rk", "pk"),
    _key("anthropic-key", r"[A-Za-z0-9_-]{16,}+", "sk-ant-"),
    _key("openai-key", r"[A-Za-z0-9_-]{20,}+", "sk-proj-", "sk-svcacct-", "sk-admin-"),
    _key("gitlab-token", r"[A-Za-z0-9_=.-]{16,}+", *_GITLAB),
    _key("google-key", r"[A-Za-z0-9_-]{24,}+", "AIza", "GOCSPX-", "ya29."),
    _key("npm-token", r"[A-Za-z0-9]{20,}+", "npm_"),
    _key("pypi-token", r"[A-Za-z0-9_-]{50,}+", "pypi-AgE"),
    _key("huggingface-token", r"[A-Za-z0-9]{20,}+", "hf_", "api_org_"),
    _key("sendgrid-key", r"[A-Za-z0-9_-]{16,64}+\.[A-Za-z0-9_-]{16,}+", "SG."),
    _key("twilio-key", r"[0-9a-f]{32}(?![0-9A-Za-z])", "SK"),
    _key("digitalocean-token", r"[0-9a-f]{32,}+", "dop_v1_", "doo_v1_", "dor_v1_"),
    _key("databricks-token", r"[0-9a-f]{32}(?:-\d)?(?![0-9A-Za-z])", "dapi"),
    _key("vault-token", r"[A-Za-z0-9_-]{20,}+", "hvs.", "hvb.", "hvr."),
    _key("shopify-token", r"[0-9a-fA-F]{32}", "shpat_", "shpca_", "shppa_", "shpss_"),
    _form("telegram-token", _BEGINS + r"\d{8,10}:AA[A-Za-z0-9_-]{33}(?![A-Za-z0-9_-])", ":AA"),
    _form(
        "discord-token", r"[MNO](?<![\w.-].)[A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,38}(?![\w-])", "."
    ),
    _form("azure-key", r"(?i:(?<=AccountKey=)|(?<=AccessKey=))[A-Za-z0-9+/]{40,100}={0,2}", "Key=", "key="),
    _form("azure-key", r"(?<=[?&]sig=)[A-Za-z0-9%+/]{40,100}={0,2}", "sig="),
    _form("azure-key", r"(?<![\w~.-])[\w~.]{3}\dQ~[\w~.-]{31,34}(?![\w~-])", "Q~"),
    _key("api-key", r"(?=[A-Za-z_=.-]{0,40}[0-9])[A-Za-z0-9_=.-]{20,}+", *_OTHERS),
    _form("api-key", _BEGINS + r"(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,}+", *_KEYS),
    _form("api-key", r"(?:AIza[A-Za-z0-9_-]{30,}+|glpat-[A-Za-z0-9_-]{16,}+|whsec_[A-Za-z0-9+/=]{16,}+)", *_ANYWHERE),
    _form("api-key", _BEGINS + r"(?:npm_|hf_|SG\.)[A-Za-z0-9_.-]{20,}+", "npm_", "hf_", "SG."),
    _form("bearer", r"\bbearer[ \t:=]{1,8}[A-Za-z0-9._~+/=-]{6,}+", "bearer", flags=re.IGNORECASE),
    _form(
        "basic", r"\bbasic[ \t]{1,8}([A-Za-z0-9+/]{8,2048}={0,2})", "ba", extent=_user_and_password, flags=re.IGNORECASE
    ),
    _form(
        "secret",
        r"(?<![A-Za-z])"
        + _ASSIGNED
        + r"""\\?["']?\s{0,4}(?::=|=>|[:=])\s{0,4}(?!\[masked)"""
        + r"""(?:\\?"[^"\n]{1,512}"?|\\?'[^'\n]{1,512}'?|[^\s"'&,;]{3,}+)""",
        # Without s and i: of these two, matching in any case knows letters that casefold() does not.
        *("pa", "pwd", "ecret", "token", "credent", "cook", "key"),
        flags=re.IGNORECASE,
    ),
    _form("email", r"(?<![\w.%+-])[\w.%+-]++@[\w-]++(?:\.[\w-]++)+", "@"),
    _form("iban", r"(?<![A-Za-z0-9])([A-Za-z]{2})[0-9]{2}(?=[ -]?[A-Za-z0-9])", extent=_letters_of_an_iban),
    _form("card", r"(?<![0-9])[2-6](?=(?:[ -]?[0-9]){12})", extent=_digits_of_a_card),
)
# What is a credential whatever stands around it.
CREDENTIALS: tuple[Form, ...] = tuple(form for form in FORMS if form.name not in _NOT_BY_SHAPE)
