from typing import Any

from prometheus_client import exposition, openmetrics
from rest_framework.renderers import JSONRenderer


class JSONLinesRenderer(JSONRenderer):
    """Names the media type of a streamed answer; a refusal is rendered as the JSON it is."""

    media_type = "application/x-ndjson"
    format = "ndjson"

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> Any:
        return super().render(data, "application/json", renderer_context)


class PrometheusRenderer(JSONRenderer):
    """A collector as Prometheus' text; a refusal is rendered as the JSON it is."""

    media_type = "text/plain"
    format = "txt"
    write: Any = staticmethod(exposition.generate_latest)

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> Any:
        if not hasattr(data, "collect"):
            return super().render(data, "application/json", renderer_context)
        return self.write(data)


class OpenMetricsRenderer(PrometheusRenderer):
    media_type = "application/openmetrics-text"
    format = "openmetrics"
    write: Any = staticmethod(openmetrics.exposition.generate_latest)


class WorkbookRenderer(JSONLinesRenderer):
    """Names the media type of a workbook, which is streamed; a refusal is rendered as the JSON it is."""

    media_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    format = "xlsx"
