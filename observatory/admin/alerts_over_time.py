from typing import cast

from django.contrib import admin

from observatory.admin_site import ObservatoryAdminSite
from telemetry.admin.alert_timeline import alerts_over_time

cast(ObservatoryAdminSite, admin.site).add_page("alerts-over-time/", alerts_over_time, "alerts_over_time")
