"""The installation that the conformance suite speaks to: the demonstration's, with the tools that the suite expects."""

from observatory.settings import *  # noqa: F403 (a settings module is its predecessor's names, and more)

INSTALLED_APPS += ["tests.conformance"]  # noqa: F405 (as above)
