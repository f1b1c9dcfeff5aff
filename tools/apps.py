from django.apps import AppConfig


class ToolsConfig(AppConfig):
    name = "tools"
    verbose_name = "Access"

    def ready(self) -> None:
        """What upstreams say of their lists is heard in every process that is connected to one."""
        from tools.tasks import look_soon  # noqa: PLC0415 (models can be imported once apps are loaded)
        from tools.upstreams.heard import Heard  # noqa: PLC0415 (as above)
        from tools.upstreams.pool import POOL  # noqa: PLC0415 (as above)

        POOL.on_list_changed = Heard(look_soon)
