"""JSON Schema, compiled once: never fetches, formats are checked, patterns are bounded.

jsonschema-rs follows remote and file `$ref`s unless told not to; `offline=True` makes them an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema_rs

MOST_PROBLEMS = 20
REGEX_SIZE_LIMIT = 1_000_000


class SchemaProblem(Exception):
    """The schema itself can't be used."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One place where an instance does not fit. `path` is a JSON Pointer (RFC 6901)."""

    path: str
    message: str

    def as_json(self) -> dict[str, str]:
        return {"path": self.path, "message": self.message}


class SchemaValidator:
    """A compiled schema. Raises SchemaProblem where the schema is not one, or needs what we do not fetch."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        try:
            self._validator = jsonschema_rs.Draft202012Validator(
                dict(schema),
                offline=True,
                validate_formats=True,
                # Error texts name the place, never the value: arguments may be secret.
                mask="the value",
                pattern_options=jsonschema_rs.RegexOptions(size_limit=REGEX_SIZE_LIMIT),
            )
        except (ValueError, jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError) as error:
            raise SchemaProblem(str(error)[:500]) from error

    def problems(self, instance: Any) -> list[Problem]:
        """Where the instance does not fit, at most MOST_PROBLEMS places; empty where it fits."""
        if self._validator.is_valid(instance):
            return []
        found = []
        for error in self._validator.iter_errors(instance):
            pointer = "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in error.instance_path)
            found.append(Problem(pointer[:200], error.message[:300]))
            if len(found) == MOST_PROBLEMS:
                break
        return found
