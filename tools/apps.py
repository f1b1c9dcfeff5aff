from importlib import import_module

from django.apps import AppConfig


class ToolsConfig(AppConfig):
    name = "tools"
    verbose_name = "Access"

    def ready(self) -> None:
        """What upstreams say of their lists is heard in every process that is connected to one; gauges are known."""
        # They lead to models, which can be imported once the apps are loaded.
        import_module("tools.tasks").hear_upstreams()
        import_module("tools.gauges").register()
