from importlib import import_module

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class ObservatoryAdminConfig(AdminConfig):
    default_site = "observatory.admin_site.ObservatoryAdminSite"


class ObservatoryConfig(AppConfig):
    name = "observatory"
    verbose_name = "Observatory"

    def ready(self) -> None:
        # Registers them; the pipeline behind needs every app's models first.
        import_module("observatory.checks")
