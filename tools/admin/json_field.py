"""A JSON object typed into a form: read as strictly as at the doors, with the error at the field."""

import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminTextareaWidget

from telemetry.canonical import NotCanonical, parse


class JsonObjectField(forms.CharField):
    """A dict; empty input is {} or, where it may be absent, None."""

    def __init__(self, *, empty: dict[str, Any] | None = None, rows: int = 10, **kwargs: Any) -> None:
        self.empty = empty
        widget = UnfoldAdminTextareaWidget({"rows": rows, "class": "code-input", "spellcheck": "false"})
        super().__init__(widget=widget, **kwargs)

    def to_python(self, value: Any) -> Any:
        if isinstance(value, dict):
            return value
        text = super().to_python(value)
        if not text:
            return self.empty
        try:
            found = parse(text.encode("utf-8", "surrogatepass"))
        except NotCanonical as problem:
            raise ValidationError(f"{problem.detail}{_place(text)}", code=problem.code) from None
        if not isinstance(found, dict):
            raise ValidationError("Write an object: { … }.", code="not_an_object")
        return found

    def validate(self, value: Any) -> None:
        """An empty object is a value; only nothing at all is missing."""
        if value is None and self.required:
            raise ValidationError(self.error_messages["required"], code="required")

    def prepare_value(self, value: Any) -> Any:
        return json.dumps(value, indent=2, ensure_ascii=False) if isinstance(value, dict) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool((initial or self.empty) != self.to_python(data))
        except ValidationError:
            return True


def _place(text: str) -> str:
    """Line and column, where Python's own reader stumbles over the text too."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return f" Line {error.lineno}, column {error.colno}."
    return ""
