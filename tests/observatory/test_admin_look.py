"""What keeps Unfold inside the content policy still fits the Unfold that is installed."""

import hashlib
import re
from importlib.metadata import version
from pathlib import Path

import pytest
import unfold
from django.contrib.auth.models import Permission, User
from django.test import RequestFactory

from observatory.admin_look import UNFOLD
from observatory.admin_site import navigation
from observatory.content_security import CONTENT_SECURITY_POLICY

UPSTREAM = Path(unfold.__file__).parent
STATIC = Path(__file__).parents[2] / "observatory" / "static"

# What REWRITES in admin.js looks for; an upgrade that changes one of them needs a new line there.
REWRITTEN = [
    ("templates/unfold/layouts/skeleton.html", "activeTab = {% if opts %}getCurrentTab() || "),
    ("templates/unfold/layouts/skeleton.html", "$watch('sidebarDesktopOpen', value => localStorage.setItem("),
    ("templatetags/unfold.py", "const $ = django.jQuery; $(function () {{ const select = $('#{field.field.auto_id}');"),
    ("templates/unfold/helpers/welcomemsg.html", "sidebarDesktopOpen = !sidebarDesktopOpen; localStorage.setItem("),
    ("templates/unfold/helpers/command.html", "if (!$event.metaKey && !$event.ctrlKey) selectItem("),
    ("templates/admin/actions.html", "x-bind:style=\"'width: ' + changeListWidth + 'px'\""),
]


def test_unfold_when_installed_is_the_version_admin_js_was_written_for() -> None:
    assert f"django-unfold {version('django-unfold')} " in (STATIC / "observatory" / "admin.js").read_text()


@pytest.mark.parametrize(("file", "text"), REWRITTEN)
def test_rewrite_when_looked_up_still_has_its_original(file: str, text: str) -> None:
    assert text in (UPSTREAM / file).read_text()


def test_alpine_when_vendored_is_the_file_its_note_names() -> None:
    folder = STATIC / "unfold" / "js" / "alpine"
    digest = hashlib.sha256((folder / "alpine.js").read_bytes()).hexdigest()
    assert digest in (folder / "README.md").read_text()
    assert not re.search(r"new Function|AsyncFunction", (folder / "alpine.js").read_text())


def test_uplot_when_vendored_is_the_files_its_note_names() -> None:
    folder = STATIC / "observatory" / "uplot"
    note = (folder / "README.md").read_text()
    for file in ("uPlot.iife.min.js", "uPlot.min.css"):
        assert f"`{file}`" in note
        assert hashlib.sha256((folder / file).read_bytes()).hexdigest() in note
    assert not re.search(r"new Function|eval\(", (folder / "uPlot.iife.min.js").read_text())


def test_policy_when_read_allows_nothing_unsafe() -> None:
    words = [word for words in CONTENT_SECURITY_POLICY["DIRECTIVES"].values() for word in words]
    assert not [word for word in words if "unsafe" in word or "*" in word]


def test_look_when_read_names_only_files_of_ours() -> None:
    request = RequestFactory().get("/")
    names = [file(request) for file in [*UNFOLD["STYLES"], *UNFOLD["SCRIPTS"]]]
    assert all(re.search(r"observatory/(admin|pages)(\.\w+)?\.(css|js)$", name) for name in names)


@pytest.mark.django_db
def test_sidebar_when_the_reader_may_see_one_page_shows_that_one() -> None:
    bob = User.objects.create_user("bob", is_staff=True)
    bob.user_permissions.add(Permission.objects.get(codename="view_user"))
    request = RequestFactory().get("/")
    request.user = bob
    titles = {group["title"]: [item["title"] for item in group["items"]] for group in navigation(request)}
    assert titles == {"Now": ["Dashboard"], "People": ["Users"]}
