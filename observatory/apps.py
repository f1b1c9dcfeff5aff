from importlib import import_module

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig
from django.core.exceptions import ImproperlyConfigured


class ObservatoryAdminConfig(AdminConfig):
    default_site = "observatory.admin_site.ObservatoryAdminSite"


class ObservatoryConfig(AppConfig):
    name = "observatory"
    verbose_name = "Observatory"

    def ready(self) -> None:
        # The pipeline behind the checks needs every app's models first.
        checks = import_module("observatory.checks")
        problems = checks.order_problems(checks.stage_names())
        if problems:
            # No process serves an unsafe order, whether or not anybody runs the checks.
            raise ImproperlyConfigured("; ".join(problems))
