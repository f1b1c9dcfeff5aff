"""Where finished spans go. Those of `exporters.postgres` and `exporters.otlp` need extras: import them by name."""

from mcp_observatory.exporters.background import ExportCounts
from mcp_observatory.exporters.exporter import Exporter
from mcp_observatory.exporters.http import HttpExporter
from mcp_observatory.exporters.memory import MemoryExporter

__all__ = ["ExportCounts", "Exporter", "HttpExporter", "MemoryExporter"]
