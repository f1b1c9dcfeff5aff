"""How often one address may try one account's password. Fails closed."""

import functools
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils import timezone

from observatory.client_address import client_address
from telemetry.recorder import count_refusal
from tools.rates import RateStoreUnavailableError, consume

LOGIN_TRIES = 10
_RATE = f"{LOGIN_TRIES}/5m"


def login_throttle(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """The view, with a try counted for each POST; a refused try does not reach the password check."""

    @functools.wraps(view)
    def throttled(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method == "POST":
            account = request.POST.get("username", "")[:150].lower()
            try:
                usage = consume(f"login:{client_address(request)}:{account}", _RATE)
            except RateStoreUnavailableError:
                return _refused("Logins can't be counted now, so none is accepted. Try again in a moment.", 503, 5)
            if not usage.allowed:
                return _refused("Too many tries for this account. Wait some minutes.", 429, usage.retry_after_s)
        page = view(request, *args, **kwargs)
        if request.method == "POST" and page.status_code == 200:
            # The form again: the password was wrong. Counted like every refusal before anybody is known.
            count_refusal("login_failed", timezone.now())
        return page

    return throttled


def _refused(sentence: str, status: int, retry_after_s: int) -> HttpResponseBase:
    headers = {"Retry-After": str(retry_after_s)}
    return HttpResponse(sentence, status=status, content_type="text/plain", headers=headers)
