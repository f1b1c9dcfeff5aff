"""Access tokens of one authorization server: who they are about, proven by the issuer's published keys.

Source: RFC 9068 (JWT access tokens), RFC 8725 (JWT best current practices), RFC 7517, RFC 8414, RFC 8707.
"""

from tools.access_tokens.issuer import IssuerUnavailableError
from tools.access_tokens.trusted import Trusted, trusted
from tools.access_tokens.verification import Identity, Invalid, has_token_form, verify

__all__ = ("Identity", "Invalid", "IssuerUnavailableError", "Trusted", "has_token_form", "trusted", "verify")
