"""The figures of docs/reference/detectors.md do not get worse, on the half that nobody tuned on."""

import re

import pytest

from telemetry.detectors.national_ids import NATIONAL_IDS
from telemetry.secret_forms import FORMS
from tests.telemetry.detectors.quality import PAGE, Measured, figures

# With a label nearly all; without one, only what no other number looks like.
NEEDS_A_LABEL = {
    *("be-nn", "ca-sin", "de-idnr", "dk-cpr", "es-dni", "es-nie", "gb-nhs", "in-aadhaar", "in-pan", "nl-bsn"),
    *("no-fodselsnummer", "pl-pesel", "tr-tckimlik", "za-idnr"),
}
WEAK = {"phone": 0.35, "card": 0.5}


@pytest.fixture(scope="module")
def measured() -> dict[str, Measured]:
    return figures()


def test_personal_data_is_found_as_often_as_we_say(measured: dict[str, Measured]) -> None:
    pii = measured["pii"]
    for kind in {kind for kind, _ in pii.texts} - NEEDS_A_LABEL:
        assert pii.recall(kind, "bare") >= WEAK.get(kind, 0.95), kind
    for kind in {kind for kind, _ in pii.texts}:
        assert pii.recall(kind, "labelled") >= 0.75, kind


def test_secrets_are_found_as_often_as_we_say(measured: dict[str, Measured]) -> None:
    for kind, _ in measured["secrets"].texts:
        assert measured["secrets"].recall(kind) >= 0.95, kind


def test_orders_are_found_as_often_as_we_say(measured: dict[str, Measured]) -> None:
    injection = measured["injection"]
    assert injection.all_recall >= 0.8
    for kind, _ in injection.texts:
        assert injection.recall(kind) >= 0.5, kind


@pytest.mark.parametrize(("name", "floor"), [("pii", 0.98), ("secrets", 0.98), ("injection", 0.95)])
def test_hardly_anything_is_found_wrongly(measured: dict[str, Measured], name: str, floor: float) -> None:
    one = measured[name]
    assert one.all_precision >= floor, one.false
    assert len(one.false) <= one.ordinary * 0.003, one.false


def test_reference_names_every_kind(measured: dict[str, Measured]) -> None:
    named = set(re.findall(r"^\| `([\w-]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    kinds = (
        {one.kind for one in NATIONAL_IDS} | {form.name for form in FORMS} - {"secret"} | {"assigned-secret", "phone"}
    )
    kinds |= set(measured["injection"].rightly)
    assert kinds - {"commit-token"} <= named
