"""“What happened” stands in the operators' site under an address of its own."""

from typing import cast

from django.contrib import admin

from observatory.admin_site import ObservatoryAdminSite
from telemetry.admin.charts import charts

cast(ObservatoryAdminSite, admin.site).add_page("what-happened/", charts, "what_happened")
