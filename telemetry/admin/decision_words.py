"""What a decision's reason means, and where its policy's revision is shown. The app that has both says so: telemetry
knows nothing of the apps above.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

# A policy's name and the number of a revision.
Revision = tuple[str, int]
Titles = Callable[[str], str]
Pages = Callable[[Iterable[Revision]], Mapping[Revision, str]]

_known: list[tuple[Titles, Pages]] = []


def register_decision_words(titles: Titles, pages: Pages) -> None:
    """Reasons have titles from now on, and revisions pages; both may ask the database."""
    _known[:] = [(titles, pages)]


def title_of(reason: str) -> str:
    """What operators call a reason code; the code itself where nobody has a title for it."""
    return next((titles(reason) for titles, _ in _known), "") or reason


def revision_pages(revisions: Iterable[Revision]) -> Mapping[Revision, str]:
    """The address of each revision that is still there under that name."""
    wanted = list(revisions)
    return next((pages(wanted) for _, pages in _known), {}) if wanted else {}
