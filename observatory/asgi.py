"""The ASGI application: subscriptions to changes of the list of tools. Everything else is WSGI's."""

import os
from importlib import import_module

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "observatory.settings")
django.setup(set_prefix=False)
# It leads to models, which can be imported once Django is set up.
application = import_module("observatory.subscriptions").Subscriptions()
