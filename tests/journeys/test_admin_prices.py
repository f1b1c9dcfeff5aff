"""Prices in admin: what an operator says a model costs, beside what is published; and how far spans were sent on."""

import pytest
from django.utils import timezone

from observatory.groups import OPERATORS
from telemetry.models import AuditEvent, PriceOverride, SpanExport
from tests.journeys.people import signed_in

LIST = "/admin/telemetry/priceoverride/"
FILLED = {"provider": "OpenAI", "model": "gpt-4o", "input_usd": "1.25", "output_usd": "5", "note": "our contract"}

pytestmark = pytest.mark.django_db


def events():
    return list(AuditEvent.objects.filter(type__startswith="price.").order_by("id").values_list("type", "actor"))


def test_a_price_is_set_changed_and_removed_and_each_is_on_record(edda):
    assert edda.post(f"{LIST}add/", FILLED).status_code == 302
    price = PriceOverride.objects.get()
    assert (price.provider, price.input_usd) == ("openai", 1.25)
    assert ">2.5 / 10<" in edda.get(LIST).content.decode()
    page = edda.get(f"{LIST}{price.pk}/change/").content.decode()
    assert "OpenAI, gpt-4o: $2.5/input MTok, $10/output MTok" in page
    edda.post(f"{LIST}{price.pk}/change/", FILLED | {"output_usd": "4"})
    remove = f"{LIST}{price.pk}/remove/"
    assert "What was priced before keeps its cost." in edda.get(remove).content.decode()
    assert PriceOverride.objects.exists(), "looking changes nothing"
    assert edda.post(remove, {"reason": "over"}).status_code == 302
    assert not PriceOverride.objects.exists()
    assert events() == [(f"price.{what}", "edda") for what in ("created", "changed", "deleted")]


def test_what_the_table_does_not_know_is_said(edda):
    edda.post(f"{LIST}add/", FILLED | {"model": "my-gpt-4o-internal"})
    assert ">unknown<" in edda.get(LIST).content.decode()
    price = PriceOverride.objects.get()
    assert "The published table does not know it" in edda.get(f"{LIST}{price.pk}/change/").content.decode()


@pytest.mark.parametrize(
    "wrong", [{"input_usd": "-1"}, {"input_usd": "much"}, {"provider": ""}, {"model": "gpt-4o", "provider": "openai"}]
)
def test_a_price_that_can_not_stand_is_refused_in_the_form(edda, wrong):
    edda.post(f"{LIST}add/", FILLED)
    page = edda.post(f"{LIST}add/", FILLED | {"model": "other"} | wrong)
    assert page.status_code == 200
    assert "errorlist" in page.content.decode() or "error" in page.content.decode()
    assert PriceOverride.objects.count() == 1
    assert len(events()) == 1


def test_operators_look_and_change_nothing(edda, world):
    edda.post(f"{LIST}add/", FILLED)
    price = PriceOverride.objects.get()
    olga = signed_in(world.person("olga", OPERATORS))
    assert olga.get(LIST).status_code == 200
    assert "As published" in olga.get(f"{LIST}{price.pk}/change/").content.decode()
    for answer in (
        olga.post(f"{LIST}add/", FILLED),
        olga.post(f"{LIST}{price.pk}/change/", FILLED),
        olga.post(f"{LIST}{price.pk}/remove/", {}),
    ):
        assert answer.status_code == 403
    assert len(events()) == 1


def test_how_far_spans_were_sent_on_is_to_be_seen_and_not_to_be_changed(edda):
    SpanExport.objects.create(name="otlp", recorded_to=timezone.now(), sent=41, last_error="a\u202eb")
    page = edda.get("/admin/telemetry/spanexport/").content.decode()
    assert "41" in page
    assert "⟦U+202E⟧" in page
    assert edda.get("/admin/telemetry/spanexport/otlp/change/").status_code == 200
    assert edda.post("/admin/telemetry/spanexport/otlp/change/", {"sent": 0}).status_code == 403
