"""The throttle before the door: so many requests an address, whoever sends them. Fails closed."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse

from observatory.client_address import client_address
from observatory.doors.problem import MEDIA_TYPE, document
from tools.rates import RateStoreUnavailableError, consume
from tools.reasons import reason

UNTHROTTLED = ("/static/", "/health", "/health/ready")


class AddressThrottle:
    """Middleware. Health and static files pass: a balancer must be able to ask when all else is refused."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path in UNTHROTTLED or request.path.startswith(UNTHROTTLED[0]):
            return self.get_response(request)
        try:
            usage = consume(f"address:{client_address(request)}", settings.ADDRESS_RATE)
        except RateStoreUnavailableError:
            return _refused("rate_store_unavailable", 1)
        if not usage.allowed:
            return _refused("rate_limited", usage.retry_after_s)
        return self.get_response(request)


def _refused(code: str, retry_after_s: int) -> HttpResponse:
    why = reason(code)
    headers = {"Retry-After": str(retry_after_s)}
    return JsonResponse(document(why), status=why.status, content_type=MEDIA_TYPE, headers=headers)
