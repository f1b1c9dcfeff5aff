"""The ASGI application: subscriptions to changes of the list of tools. Everything else is WSGI's."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "observatory.settings")
django.setup(set_prefix=False)

from observatory.subscriptions import Subscriptions  # noqa: E402 (models can be imported once Django is set up)

application = Subscriptions()
