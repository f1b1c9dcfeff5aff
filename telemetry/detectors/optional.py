"""Packages that a detector needs and the product does not bring."""

from __future__ import annotations

import importlib
import importlib.util
from functools import lru_cache
from typing import Any

from telemetry.detectors.detector import DetectorUnavailable


def absent(modules: dict[str, str]) -> tuple[str, ...]:
    """Of packages, by the module that each brings, those that are not installed. Nothing is imported to know it."""
    return tuple(package for module, package in modules.items() if importlib.util.find_spec(module) is None)


@lru_cache(maxsize=8)
def loaded(module: str) -> Any:
    """The module. Raises DetectorUnavailable where it can't be imported, whatever it says of that."""
    try:
        return importlib.import_module(module)
    except Exception:
        raise DetectorUnavailable("cannot_be_imported") from None
