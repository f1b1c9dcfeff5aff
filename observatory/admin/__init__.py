"""The part of admin that needs the whole house: people, and pages of our own."""

from observatory.admin import may_it, people

__all__ = ("may_it", "people")
