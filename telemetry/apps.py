from importlib import import_module

from django.apps import AppConfig


class TelemetryConfig(AppConfig):
    name = "telemetry"
    verbose_name = "Record"

    def ready(self) -> None:
        # They lead to models, which can be imported once the apps are loaded.
        import_module("telemetry.gauges").register()
