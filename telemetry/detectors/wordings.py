"""Wordings: classes of words that follow each other with few between them, found in one pass over a text.

A wording costs nothing until one of its words appears, and a word costs the same however often it stands: no text
makes this slow, which nested gaps of regular expressions can be.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from telemetry.detectors.lookalikes import as_read

# What a sentence may point at, and which is one word to a wording.
URL, MAIL, FILE, NUMBER = "@url", "@mail", "@file", "@number"
_WORD = r"[^\W_]+(?:['’][^\W_]+)?"
# Where a sentence ends, or code parts one thing from the next.
_STOP = r"""[.!?。！？](?!\w)|[{};]|["'] ?[,:]"""
_IS_FILE = re.compile(
    r"(?:~|\$home|%userprofile%|/root|/home/[\w.-]{1,32})/[\w./-]+|/etc/(?:passwd|shadow|sudoers)\b"
    r"|(?<![\w.*])\.(?:env|netrc|npmrc|pypirc|pgpass|ssh|aws|gnupg|kube|git-credentials)\b[\w/.-]*"
    r"|\bid_(?:rsa|dsa|ecdsa|ed25519)\b|/proc/self/environ|\bauthorized_keys\b"
)
_PLAIN = re.compile(f"{_WORD}|{_STOP}")
_PLACES = rf"https?://[^\s]+|{_IS_FILE.pattern}"
_WITH_PLACES = re.compile(f"{_PLACES}|{_WORD}|{_STOP}")
_WITH_MAIL = re.compile(rf"{_PLACES}|(?<![\w.+-])[\w.+-]{{1,64}}@[\w-]{{1,64}}\.[\w.-]{{1,64}}|{_WORD}|{_STOP}")
_MAY_HAVE_PLACES = re.compile(r"://|[~$%/.][a-z]|id_|_keys")
_IS_NUMBER = re.compile(r"[a-z]{0,2}[0-9]{6}")


@dataclass(frozen=True, slots=True)
class Wording:
    """Steps are classes of words, `gaps[n]` the most words between step n and the next; `instruct*` is a beginning."""

    kind: str
    score: float
    steps: tuple[tuple[str, ...], ...]
    gaps: tuple[int, ...]


def wording(kind: str, score: float, *parts: str | int) -> Wording:
    """`parts`: words, the most between, words, and so on; words stand one beside the other in a string."""
    steps = tuple(tuple(part.split()) for part in parts[::2] if isinstance(part, str))
    gaps = tuple(part for part in parts[1::2] if isinstance(part, int))
    if len(steps) != len(gaps) + 1 or len(steps) + len(gaps) != len(parts):
        raise ValueError("words and numbers take turns")
    return Wording(kind, score, steps, gaps)


@dataclass(frozen=True, slots=True)
class Found:
    """`start` and `end` are positions in the text that was read."""

    kind: str
    start: int
    end: int
    score: float


# (which wording, which of its steps); of one wording the last step first, so that no word takes two steps at once.
_Steps = tuple[tuple[int, int], ...]
# A wording does not go on in the next sentence.
_END: _Steps = ((-1, -1),)


@dataclass(slots=True)
class Wordings:
    """All wordings, by the words they are made of."""

    wordings: tuple[Wording, ...]
    _exact: dict[str, _Steps] = field(init=False)
    _beginnings: dict[str, _Steps] = field(init=False)
    _lengths: tuple[int, ...] = field(init=False)
    _steps: Callable[[str], _Steps] = field(init=False)

    def __post_init__(self) -> None:
        exact, beginnings = defaultdict(list), defaultdict(list)
        for number, one in enumerate(self.wordings):
            for step in reversed(range(len(one.steps))):
                for word in one.steps[step]:
                    if word.endswith("*"):
                        beginnings[as_read(word[:-1])].append((number, step))
                    else:
                        exact[as_read(word)].append((number, step))
        self._exact = {word: tuple(steps) for word, steps in exact.items()}
        self._beginnings = {word: tuple(steps) for word, steps in beginnings.items()}
        self._lengths = tuple(sorted({len(word) for word in beginnings}))
        # Most words of a text stand in it often.
        self._steps = lru_cache(maxsize=16_384)(self._steps_of)

    def find(self, read: str) -> Iterator[Found]:
        """Every wording in a text as `as_read` gives it, where its last word ends."""
        pattern = _tokens_of(read)
        found = list(self._among(pattern.findall(read)))
        if found:
            # Most texts hold none, and positions cost more than words.
            spans = [match.span() for match in pattern.finditer(read)]
            yield from (Found(one.kind, spans[first][0], spans[last][1], one.score) for one, first, last in found)

    def _among(self, words: list[str]) -> Iterator[tuple[Wording, int, int]]:
        """Each wording with the numbers of its first and last word."""
        reached: dict[tuple[int, int], tuple[int, int]] = {}
        for place, word in enumerate(words):
            steps = self._steps(word)
            if steps is _END:
                reached.clear()
                continue
            for number, step in steps:
                one, begun = self.wordings[number], place
                if step:
                    last, begun = reached.get((number, step - 1), (-100, 0))
                    if place - last > one.gaps[step - 1] + 1:
                        continue
                if step + 1 == len(one.steps):
                    yield one, begun, place
                else:
                    reached[number, step] = (place, begun)

    def _steps_of(self, token: str) -> _Steps:
        word = _meaning(token)
        if word is None:
            return _END
        found = self._exact.get(word, ())
        for length in self._lengths:
            if length > len(word):
                break
            if more := self._beginnings.get(word[:length]):
                # Of two steps of one wording the later first, as in each of the two tables.
                found = tuple(sorted({*found, *more}, key=lambda step: (step[0], -step[1])))
        return found


def _tokens_of(read: str) -> re.Pattern[str]:
    """The least that this text needs."""
    if "@" in read:
        return _WITH_MAIL
    return _WITH_PLACES if _MAY_HAVE_PLACES.search(read) else _PLAIN


def _meaning(token: str) -> str | None:
    """The word, or what it points at; None for a sentence's end."""
    if not token[0].isalnum() and re.fullmatch(_STOP, token):
        return None
    if token.startswith(("http://", "https://")):
        return URL
    if _IS_FILE.fullmatch(token):
        return FILE
    if "@" in token:
        return MAIL
    return NUMBER if _IS_NUMBER.match(token) else token.replace("’", "'")
