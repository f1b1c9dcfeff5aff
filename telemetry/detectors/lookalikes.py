"""Letters of other scripts that are taken for Latin ones, and text as a reader takes it.

Source: Unicode UTS #39 confusables.txt; of it the letters that ordinary fonts draw alike.
"""

import re
import unicodedata
from functools import lru_cache

_PAIRS = (
    # Cyrillic
    "аa еe оo рp сc уy хx іi јj ѕs һh ԁd ԛq ԝw ѵv ӏl АA ВB ЕE КK МM НH ОO РP СC ТT ХX УY ІI ЈJ ЅS ԚQ ԜW Ғf "
    # Greek
    "οo αa νv ιi ρp υu κk ΑA ΒB ΕE ΖZ ΗH ΙI ΚK ΜM ΝN ΟO ΡP ΤT ΥY ΧX "
    # Armenian, Cherokee, Latin's own
    "օo սu հh ոn ցg զq ՏS ᎪA ᏴB ᏟC ᎬE ᎻH ᎫJ ᏦK ᏞL ᎷM ᏢP ᏚS ᎢT ᏙV ᎳW ᏃZ ıi ɡg ɑa ǀl"
)
LOOKALIKES = {pair[0]: pair[1] for pair in _PAIRS.split()}
_TABLE = str.maketrans(LOOKALIKES)
_SPACE = re.compile(r"\s+")
_WORD = re.compile(r"[^\W\d_]+")


def as_read(text: str) -> str:
    """The text as a model takes it: hidden characters gone, lookalikes Latin, spaces single, lower case."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
        text = "".join(char for char in text if unicodedata.category(char) not in ("Cf", "Mn", "Co", "Cn"))
        text = _WORD.sub(_latin, text)
    return _SPACE.sub(" ", text).lower()


def _latin(match: re.Match[str]) -> str:
    """A word that mixes scripts, or is made of lookalikes alone; words of other languages stay."""
    word = match[0]
    if word.isascii() or not any(char.isascii() or char in LOOKALIKES for char in word):
        return word
    is_disguise = any(char.isascii() for char in word) or all(char in LOOKALIKES for char in word)
    return word.translate(_TABLE) if is_disguise else word


# Names are compared with every other there is, again at every look.
@lru_cache(maxsize=16_384)
def skeleton(name: str) -> str:
    """Two names with the same skeleton are taken for each other: case, separators and lookalikes are no difference."""
    return re.sub(r"[\W_]+", "", as_read(name))
