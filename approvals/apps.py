from importlib import import_module

from django.apps import AppConfig


class ApprovalsConfig(AppConfig):
    name = "approvals"
    verbose_name = "Approvals"

    def ready(self) -> None:
        """Gauges are known."""
        # It leads to models, which can be imported once the apps are loaded.
        import_module("approvals.gauges").register()
