"""Short words with a colour, for lists: the colour repeats what the word says and is never alone."""

from collections.abc import Iterable

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from tools.policy.effects import Effect

NEUTRAL, GOOD, CAREFUL, BAD, NOTE = "", "tag-good", "tag-careful", "tag-bad", "tag-note"

EFFECT_TONES = {
    Effect.ALLOW: GOOD,
    Effect.DENY: BAD,
    Effect.REQUIRE_APPROVAL: CAREFUL,
    Effect.REQUIRE_TWO_PHASE: CAREFUL,
    Effect.DRY_RUN: NOTE,
    Effect.REDACT: NOTE,
    Effect.RATE: NOTE,
}


def tag(text: str, tone: str = NEUTRAL) -> SafeString:
    return format_html('<span class="tag {}">{}</span>', tone, text)


def tags(words: Iterable[tuple[str, str]], nothing: str = "–") -> SafeString | str:
    """Words with their tones, side by side."""
    return format_html_join(" ", '<span class="tag {1}">{0}</span>', words) or nothing
