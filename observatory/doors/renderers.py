from typing import Any

from rest_framework.renderers import JSONRenderer


class JSONLinesRenderer(JSONRenderer):
    """Names the media type of a streamed answer; a refusal is rendered as the JSON it is."""

    media_type = "application/x-ndjson"
    format = "ndjson"

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> Any:
        return super().render(data, "application/json", renderer_context)
