"""Channels for alerts: what each kind needs, secrets that are shown once, and a test that really sends."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminPasswordWidget

from telemetry.admin.acts import Act, ActsAdmin, operator_of
from telemetry.admin.generic import AnyForm
from telemetry.clock import database_now
from telemetry.delivery.channel_acts import LONGEST_GRACE, channel_problems, replace_secret, save_channel, send_test
from telemetry.delivery.email import NO_SERVER
from telemetry.delivery.letter import recipients_of
from telemetry.models import AlertChannel
from telemetry.visible import visible
from telemetry.wording import ago, seen

Kind = AlertChannel.Kind
_SECRETS = {
    Kind.SLACK: "The incoming webhook's address, e.g. https://hooks.slack.com/services/T…/B…/…",
    Kind.PAGERDUTY: "The integration's routing key (Events API v2), 32 letters and digits.",
}


_FIELDS: dict[Kind, tuple[str, ...]] = {
    Kind.EMAIL: ("recipients",),
    Kind.SLACK: ("secret",),
    Kind.WEBHOOK: ("url",),
    Kind.PAGERDUTY: ("secret", "url"),
}
# Of a new channel every field, each in a part of its own that a script shows for its kinds.
_ALL_KINDS = tuple(
    ("Where it leads" if name == "recipients" else None, {"fields": (name,), "classes": [f"for-{name}"]})
    for name in ("recipients", "url", "secret")
)


class ChannelForm(AnyForm):
    """What operators say of a channel. A secret goes in and never comes out."""

    secret = forms.CharField(
        label="Secret",
        required=False,
        max_length=500,
        strip=True,
        widget=UnfoldAdminPasswordWidget({"autocomplete": "new-password"}),
    )

    class Meta:
        model = AlertChannel
        fields = ("name", "kind", "enabled", "recipients", "url", "secret")
        help_texts = {
            "kind": "It stays what it is; for another kind make another channel.",
            "recipients": "For e-mail: addresses, one a line, e.g. oncall@example.com.",
            "url": "For a webhook the receiver's address, e.g. https://alerts.example.com/hook. For PagerDuty only "
            "where the account is in the EU. A private address needs OBSERVATORY_EGRESS_ALLOW.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "secret" in self.fields:
            self.fields["secret"].help_text = self._secret_help()

    def _secret_help(self) -> str:
        kept = " One is stored. Leave this empty to keep it; it is never shown." if self.instance.sealed_secret else ""
        if self.instance.pk:
            return f"{_SECRETS.get(Kind(self.instance.kind), '')}{kept}"
        return "For Slack the incoming webhook's address; for PagerDuty the routing key. A webhook's is made for you."

    def clean(self) -> dict[str, Any]:
        """What does not belong to the kind is not asked for, so it is not kept."""
        found: dict[str, Any] = super().clean() or self.cleaned_data
        kind = found.get("kind") or self.instance.kind
        for name in ("recipients", "url", "secret"):
            if name in found and name not in _FIELDS[Kind(kind)]:
                found[name] = ""
        return found

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]  # Django's own hook, which its stubs leave out
        if not self.errors:
            for field, problem in channel_problems(self.instance, self.cleaned_data.get("secret", "")).items():
                self.add_error(field if field in self.fields else None, problem)


class GraceForm(forms.Form):
    grace_hours = forms.IntegerField(
        label="Grace (hours)",
        min_value=0,
        max_value=LONGEST_GRACE // dt.timedelta(hours=1),
        initial=24,
        widget=UnfoldAdminIntegerFieldWidget(),
        help_text="How long messages are signed with both, e.g. 24. 0: the old secret ends now.",
    )


@admin.register(AlertChannel)
class AlertChannelAdmin(ActsAdmin):
    subject_kind = "alert_channel"
    form = ChannelForm
    list_display = ("name", "kind_label", "where", "state_label", "last_sent", "last_failed", "waits")
    list_filter = (("kind", ChoicesDropdownFilter), "enabled")
    search_fields = ("name", "recipients", "url")
    search_help_text = "Name, recipient or address."
    actions_detail = ("test", "replace")

    class Media:
        css = {"all": ["observatory/policy.css"]}
        js = ["observatory/channel.js"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[AlertChannel]:
        found: QuerySet[AlertChannel] = super().get_queryset(request)
        return found.annotate(waiting=Count("notifications", filter=Q(notifications__next_attempt_at__isnull=False)))

    def get_fieldsets(self, request: HttpRequest, obj: AlertChannel | None = None) -> Any:
        """Of a channel that exists only what its kind has."""
        head = (None, {"fields": ("name", "kind", "enabled")})
        if obj is None:
            return (head, *_ALL_KINDS)
        fields = _FIELDS[Kind(obj.kind)]
        if not self.has_change_permission(request, obj):
            fields = tuple(name for name in fields if name != "secret")
        return (head, ("Where it leads", {"fields": fields}), ("How it does", {"fields": ("state", "last_error")}))

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field and db_field.name == "recipients":
            field.widget.attrs["rows"] = 3
        return field

    def get_readonly_fields(self, request: HttpRequest, obj: AlertChannel | None = None) -> tuple[str, ...]:
        return ("kind", "state", "last_error") if obj else ()

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        buttons = {"show_save_and_add_another": False, "show_save_and_continue": False}
        page: HttpResponse = super().add_view(request, form_url, buttons | (extra_context or {}))
        return page

    def save_model(self, request: HttpRequest, obj: AlertChannel, form: AnyForm, change: bool) -> None:
        secret = form.cleaned_data.get("secret", "")
        request.made_secret = save_channel(obj, operator_of(request), secret=secret)  # type: ignore[attr-defined]  # read by response_add

    def response_add(
        self, request: HttpRequest, obj: AlertChannel, post_url_continue: str | None = None
    ) -> HttpResponse:
        made: str = request.made_secret  # type: ignore[attr-defined]  # set by save_model
        if made:
            return self._secret_page(request, obj, made)
        page: HttpResponse = super().response_add(request, obj, post_url_continue)
        return page

    def _secret_page(self, request: HttpRequest, channel: AlertChannel, secret: str) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": f"The secret of {channel}",
            "opts": self.opts,
            "original": channel,
            "secret": secret,
            "facts": (("Channel", channel.name), ("Receiver", visible(channel.url))),
        }
        page = TemplateResponse(request, "telemetry/channel_secret.html", context)
        page["Cache-Control"] = "no-store"
        return page

    # a test

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        offered: list[Any] = super().get_actions_detail(request, object_id)
        channel = self.get_object(request, str(object_id))
        is_webhook = isinstance(channel, AlertChannel) and channel.kind == Kind.WEBHOOK
        return [one for one in offered if one.path == "test" or is_webhook]

    def has_test_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return bool(request.user.has_perm("telemetry.test_alertchannel"))

    @action(description="Send a test…", url_path="test", icon="send", permissions=["test"])
    def test(self, request: HttpRequest, object_id: str) -> HttpResponse:
        channel = self._channel(request, object_id)
        if request.method == "POST":
            arrived, said = send_test(channel, operator_of(request), database_now())
            context = {
                **self.admin_site.each_context(request),
                "title": "The test arrived" if arrived else "The test did not arrive",
                "opts": self.opts,
                "original": channel,
                "arrived": arrived,
                "said": visible(said),
                "facts": (
                    ("Channel", channel.name),
                    ("Kind", channel.get_kind_display()),
                    ("Where", where_of(channel)),
                ),
            }
            return TemplateResponse(request, "telemetry/channel_tested.html", context)
        act = Act(
            title=f"Send a test through {channel}",
            facts=(("Kind", channel.get_kind_display()), ("Where", where_of(channel))),
            consequences=_what_a_test_does(channel),
            button="Send it",
        )
        return self.act_page(request, channel, act, forms.Form())

    # another secret

    def has_replace_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return bool(request.user.has_perm("telemetry.change_alertchannel"))

    @action(description="Replace the secret…", url_path="replace", icon="autorenew", permissions=["replace"])
    def replace(self, request: HttpRequest, object_id: str) -> HttpResponse:
        channel = self._channel(request, object_id)
        form, refused = GraceForm(request.POST if request.method == "POST" else None), ""
        if request.method == "POST" and form.is_valid():
            grace = dt.timedelta(hours=form.cleaned_data["grace_hours"])
            try:
                return self._secret_page(
                    request, channel, replace_secret(channel, operator_of(request), grace, database_now())
                )
            except ValidationError as error:
                refused = " ".join(error.messages)
        act = Act(
            title=f"Replace the secret of {channel}",
            facts=(("Receiver", visible(channel.url)),),
            consequences=(
                "A new secret is made and shown once; messages are signed with it from now on.",
                "Until the grace ends each message has a second signature, by the old secret: a receiver that verifies "
                "either goes on working while you change it.",
            ),
            button="Make the new secret",
        )
        return self.act_page(request, channel, act, form, refused=refused, status=409 if refused else 200)

    def _channel(self, request: HttpRequest, object_id: str) -> AlertChannel:
        channel = self.get_object(request, object_id)
        if not isinstance(channel, AlertChannel):
            raise Http404
        return channel

    # columns

    @display(description="Kind", ordering="kind")
    def kind_label(self, channel: AlertChannel) -> str:
        return channel.get_kind_display()

    @display(description="Where")
    def where(self, channel: AlertChannel) -> str:
        return seen(where_of(channel), 60)

    @display(
        description="State", label={"well": "success", "failing": "danger", "off": "info", "never used": "warning"}
    )
    def state_label(self, channel: AlertChannel) -> str:
        return _state(channel)

    @display(description="How it does")
    def state(self, channel: AlertChannel) -> str:
        times = f"last arrived {ago(channel.last_sent_at)}, last failed {ago(channel.last_failed_at)}"
        return f"{_state(channel)}; {times}"

    @display(description="Last arrived", ordering="last_sent_at")
    def last_sent(self, channel: AlertChannel) -> str:
        return ago(channel.last_sent_at)

    @display(description="Last failed", ordering="last_failed_at")
    def last_failed(self, channel: AlertChannel) -> str:
        said = f": {seen(channel.last_error, 60)}" if channel.last_error else ""
        return f"{ago(channel.last_failed_at)}{said}"

    @display(description="Waiting")
    def waits(self, channel: Any) -> int:
        count: int = channel.waiting
        return count


def _state(channel: AlertChannel) -> str:
    if not channel.enabled:
        return "off"
    if channel.failures:
        return "failing"
    return "well" if channel.last_sent_at else "never used"


def where_of(channel: AlertChannel) -> str:
    """Where it leads, without what is a secret."""
    match channel.kind:
        case Kind.EMAIL:
            return ", ".join(visible(address) for address in recipients_of(channel))
        case Kind.SLACK:
            return "an incoming webhook, stored encrypted"
        case Kind.PAGERDUTY:
            return visible(channel.url) or "events.pagerduty.com"
        case _:
            return visible(channel.url)


def _what_a_test_does(channel: AlertChannel) -> tuple[str, ...]:
    first = f"A message that says it is a test is sent to {where_of(channel)}, once and now."
    found = [first, "This page waits for the answer, at most ten seconds or a little more, and shows it."]
    if channel.kind == Kind.PAGERDUTY:
        found.append("PagerDuty opens an incident of severity info and closes it at once.")
    if channel.kind == Kind.EMAIL and not settings.TELL_BY_EMAIL:
        found.append(f"{NO_SERVER} So it will fail until whoever runs this installation sets one.")
    if not channel.enabled:
        found.append("The channel is off: the test is sent, alerts are not.")
    return tuple(found)
