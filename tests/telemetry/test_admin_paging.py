from typing import Any

import pytest
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.sites import AdminSite
from django.contrib.auth.models import Group, User
from django.core.paginator import EmptyPage, PageNotAnInteger
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.test import RequestFactory

from telemetry.admin.base import ListAdmin, ReadOnlyAdmin, json_block
from telemetry.admin.paging import DEEPEST_PAGE, UncountedPaginator


class GroupList(ListAdmin):
    ordering = ("name",)


class GroupRecord(ReadOnlyAdmin):
    pass


@pytest.fixture
def groups(db: None) -> None:
    Group.objects.bulk_create(Group(name=f"group {number:03}") for number in range(120))


def request_by(user: User, **query: str) -> HttpRequest:
    request = RequestFactory().get("/", query)
    request.user = user
    return request


def changelist(user: User, **query: str) -> Any:
    return GroupList(Group, AdminSite()).get_changelist_instance(request_by(user, **query))


@pytest.fixture
def alice(db: None) -> User:
    return User.objects.create_superuser("alice")


@pytest.mark.parametrize(
    ("page", "rows", "more"),
    [(1, [0, 1], True), (2, [2, 3], True), (3, [4], False)],
)
def test_page_when_read_knows_whether_another_follows(page: int, rows: list[int], more: bool) -> None:
    read = UncountedPaginator(list(range(5)), 2).page(page)
    assert (read.object_list, read.has_next()) == (rows, more)
    assert read.has_previous() is (page > 1)


def test_page_when_the_last_one_is_full_has_no_next() -> None:
    assert not UncountedPaginator([1, 2, 3, 4], 2).page(2).has_next()


def test_page_when_there_are_no_rows() -> None:
    paginator = UncountedPaginator([], 2)
    assert paginator.page(1).object_list == []
    assert (paginator.count, paginator.num_pages) == (0, 1)


@pytest.mark.parametrize(
    ("number", "error"), [(0, EmptyPage), (4, EmptyPage), (DEEPEST_PAGE + 1, EmptyPage), ("x", PageNotAnInteger)]
)
def test_page_when_the_number_is_wrong(number: int | str, error: type[Exception]) -> None:
    with pytest.raises(error):
        UncountedPaginator(list(range(5)), 2).page(number)


def test_count_when_pages_follow_is_what_was_seen() -> None:
    paginator = UncountedPaginator(list(range(500)), 10)
    paginator.page(3)
    assert (paginator.count, paginator.num_pages) == (31, 4)


def test_changelist_when_read_asks_once_and_counts_nothing(
    groups: None, alice: User, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(1) as captured:
        listed = changelist(alice)
    assert "COUNT(" not in captured.captured_queries[0]["sql"].upper()
    assert [group.name for group in listed.result_list] == [f"group {number:03}" for number in range(50)]
    assert (listed.has_previous, listed.has_next, listed.first_row, listed.last_row) == (False, True, 1, 50)


def test_changelist_when_on_the_last_page(groups: None, alice: User) -> None:
    listed = changelist(alice, p="3")
    assert (listed.has_previous, listed.has_next, listed.first_row, listed.last_row) == (True, False, 101, 120)


@pytest.mark.parametrize("page", ["4", "0", "999999999"])
def test_changelist_when_the_page_is_not_there(groups: None, alice: User, page: str) -> None:
    with pytest.raises(IncorrectLookupParameters):
        changelist(alice, p=page)


def test_footer_when_in_the_middle_links_both_ways(groups: None, alice: User) -> None:
    html = render_to_string(UncountedPaginator.template_name, {"cl": changelist(alice, p="2")})
    assert 'rel="prev" href="?p=1"' in html
    assert 'rel="next" href="?p=3"' in html
    assert "51–100" in html


def test_record_when_the_reader_may_do_everything_can_only_be_seen(alice: User) -> None:
    record, request = GroupRecord(Group, AdminSite()), request_by(alice)
    assert record.has_view_permission(request)
    assert not record.has_add_permission(request)
    assert not record.has_change_permission(request)
    assert not record.has_delete_permission(request)
    assert record.get_actions(request) == {}


def test_record_when_the_reader_lacks_the_view_permission_is_not_shown(db: None) -> None:
    bob = User.objects.create_user("bob", is_staff=True)
    assert not GroupRecord(Group, AdminSite()).has_view_permission(request_by(bob))


def test_json_when_it_holds_markup_is_escaped() -> None:
    html = json_block({"b": 1, "a": "<script>alert(1)</script>"})
    assert "<script>" not in html
    assert "style=" not in html
    assert html.index("&quot;a&quot;") < html.index("&quot;b&quot;")
