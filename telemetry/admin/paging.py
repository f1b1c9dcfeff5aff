"""Pages of a list without a COUNT(*): one SELECT of a page and one row more tells whether there is a next page."""

from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.core.paginator import EmptyPage, InvalidPage, PageNotAnInteger
from django.http import HttpRequest
from unfold.views import ChangeList

from telemetry.admin.generic import AnyPage, AnyPaginator

# OFFSET reads what it skips; further back, a filter is the way.
DEEPEST_PAGE = 2_000


class UncountedPage(AnyPage):
    """A page that knows from its own read whether another follows."""

    def __init__(self, object_list: list[Any], number: int, paginator: "UncountedPaginator", more: bool) -> None:
        super().__init__(object_list, number, paginator)
        self.more = more

    def has_next(self) -> bool:
        return self.more


class UncountedPaginator(AnyPaginator):
    """Reads the page asked for and nothing else; `count` and `num_pages` are what the last read showed, not totals."""

    template_name = "telemetry/pagination.html"
    last_read: UncountedPage | None = None

    def validate_number(self, number: float | str) -> int:
        try:
            page_number = int(number)
        except (TypeError, ValueError) as error:
            raise PageNotAnInteger("A page number is a whole number.") from error
        if not 1 <= page_number <= DEEPEST_PAGE:
            raise EmptyPage(f"Pages go from 1 to {DEEPEST_PAGE}.")
        return page_number

    def page(self, number: int | str) -> UncountedPage:
        """Stops: EmptyPage past the last row; page 1 may be empty."""
        page_number = self.validate_number(number)
        start = (page_number - 1) * self.per_page
        rows = list(self.object_list[start : start + self.per_page + 1])
        if not rows and page_number > 1:
            raise EmptyPage("There is nothing on that page.")
        more = len(rows) > self.per_page and page_number < DEEPEST_PAGE
        self.last_read = UncountedPage(rows[: self.per_page], page_number, self, more)
        return self.last_read

    @property
    def count(self) -> int:
        """Rows seen to exist: up to the last page read, and one more when another page follows."""
        page = self.last_read or self.page(1)
        return (page.number - 1) * self.per_page + len(page.object_list) + page.more

    @property
    def num_pages(self) -> int:
        page = self.last_read or self.page(1)
        return page.number + page.more


class UncountedChangeList(ChangeList):
    """Django's list of rows, with its two counts left out. Rows come as a list, so `list_editable` cannot be used."""

    def get_results(self, request: HttpRequest) -> None:
        paginator = self.model_admin.get_paginator(request, self.queryset, self.list_per_page)
        try:
            page = paginator.page(self.page_num)
        except InvalidPage as error:
            raise IncorrectLookupParameters from error
        self.paginator = paginator
        self.result_list = page.object_list
        # Equal, so that no heading speaks of "n results of m".
        self.result_count = self.full_result_count = paginator.count
        self.show_full_result_count = False
        self.show_admin_actions = bool(page.object_list)
        self.can_show_all = False
        self.multi_page = page.has_other_pages()
        self.has_next, self.has_previous = page.has_next(), page.has_previous()
        self.first_row = (page.number - 1) * self.list_per_page + 1
        self.last_row = self.first_row + len(page.object_list) - 1
