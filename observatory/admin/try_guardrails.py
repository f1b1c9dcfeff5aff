"""“Try a text” stands in the operators' site under an address of its own."""

from typing import cast

from django.contrib import admin

from observatory.admin_site import ObservatoryAdminSite
from telemetry.admin.try_guardrails import try_page

cast(ObservatoryAdminSite, admin.site).add_page("try-guardrails/", try_page, "try_guardrails")
