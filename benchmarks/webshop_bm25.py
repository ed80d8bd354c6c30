"""BM25 over English text in plain Python, written to be read: the oracle of WebShop's native search.

Analyser: what Lucene's EnglishAnalyzer does with ordinary text (words, lower case, no possessive 's, no stop words, Porter stems).
Score of a document: sum over the words of the query, each as often as it is there, of
idf * tf / (tf + k1 * (1 - b + b * length / mean_length)), idf = ln(1 + (N - df + 0.5) / (df + 0.5)), as Lucene since 8, which
counts documents with words alone.
`length="lucene"` rounds lengths to what its one byte can hold. Equal scores keep document order.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable

K1, B = 0.9, 0.4
_STOP_WORDS = """a an and are as at be but by for if in into is it no not of on or such that the their then there these they this to
was will with"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
# Words as UAX #29 finds them: letters and digits, joined by an apostrophe, full stop or colon between letters, by a comma, full stop,
# semicolon or apostrophe between digits, and by underscores anywhere; marks and soft hyphens belong to what they follow.
# Ideographs and hiragana stand alone, katakana stick to katakana; figures that are no digits (\u00b2, \u00bd) are no part of a word.
_ALONE, _KATAKANA = "\u3041-\u3096\u3400-\u4dbf\u4e00-\u9fff", "\u30a1-\u30fa\u30fc-\u30ff"
_FIGURES = "\u00b2\u00b3\u00b9\u00bc-\u00be\u2070\u2074-\u2079\u2080-\u2089\u2150-\u215f\u2460-\u249b\u2776-\u2793"
_MARKS = "[\u0300-\u036f\u00ad\u200c\u200d\ufe0f]*"
_LETTER, _DIGIT = rf"[^\W\d_{_ALONE}{_KATAKANA}{_FIGURES}]{_MARKS}", rf"\d{_MARKS}"
_PART = rf"(?:{_LETTER}(?:['\u2018\u2019.:]{_MARKS}{_LETTER})*|{_DIGIT}(?:[,.;'\u2018\u2019]{_MARKS}{_DIGIT})*)"
_LINES, _RUN = rf"(?:_{_MARKS})", rf"(?:(?:{_PART})+|(?:[{_KATAKANA}]{_MARKS})+)"
_WORD = re.compile(rf"[{_ALONE}]{_MARKS}|{_LINES}*{_RUN}(?:{_LINES}+{_RUN})*{_LINES}*")


def analyse(text: str) -> list[str]:
    """Return the terms of a text, in order."""
    words = (re.sub("['\u2019]s$", "", word) for word in _WORD.findall(text.lower()))
    return [stem(word) for word in words if word not in STOP_WORDS]


class Index:
    """Documents by term."""

    def __init__(self, documents: Iterable[tuple[str, str]], *, length: str = "exact") -> None:
        """Index (id, text) pairs; `length` is "exact" or "lucene"."""
        self.ids: list[str] = []
        self.lengths: list[int] = []
        self.postings: dict[str, list[tuple[int, int]]] = defaultdict(list)
        total = 0
        for place, (name, text) in enumerate(documents):
            terms = analyse(text)
            self.ids.append(name)
            self.lengths.append(rounded_length(len(terms)) if length == "lucene" else len(terms))
            total += len(terms)
            for term, count in Counter(terms).items():
                self.postings[term].append((place, count))
        self.num_documents = sum(n > 0 for n in self.lengths)
        self.mean_length = total / max(1, self.num_documents)

    def scores(self, query: str) -> dict[int, float]:
        """Return the score of each document that has a word of the query."""
        found: dict[int, float] = defaultdict(float)
        for term, times in Counter(analyse(query)).items():
            postings = self.postings.get(term, [])
            idf = math.log(1 + (self.num_documents - len(postings) + 0.5) / (len(postings) + 0.5))
            for place, count in postings:
                norm = K1 * (1 - B + B * self.lengths[place] / self.mean_length)
                found[place] += times * idf * count / (count + norm)
        return found

    def search(self, query: str, k: int, *, ties_by_id: bool = False) -> list[int]:
        """Return the places of the best k documents, the best first; equals in document order, or in that of their ids."""
        found = self.scores(query)
        equals = self.ids if ties_by_id else range(len(self.ids))
        return sorted(found, key=lambda place: (-found[place], equals[place]))[:k]


def rounded_length(length: int) -> int:
    """Return a length as Lucene keeps it in one byte (SmallFloat.intToByte4): exact below 40, four significant bits above."""
    if length < 24:
        return length
    rest = length - 24
    shift = max(0, rest.bit_length() - 4)
    return 24 + ((rest >> shift) << shift)


# -- Porter's stemmer (1980), with the two departures of his own later program, as Lucene has it --

_STEP_2 = {
    "ational": "ate", "tional": "tion", "enci": "ence", "anci": "ance", "izer": "ize", "bli": "ble", "alli": "al", "entli": "ent",
    "eli": "e", "ousli": "ous", "ization": "ize", "ation": "ate", "ator": "ate", "alism": "al", "iveness": "ive",
    "fulness": "ful", "ousness": "ous", "aliti": "al", "iviti": "ive", "biliti": "ble", "logi": "log",
}  # fmt: skip
_STEP_3 = {"icate": "ic", "ative": "", "alize": "al", "iciti": "ic", "ical": "ic", "ful": "", "ness": ""}
_STEP_4 = ("al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou", "ism", "ate", "iti", "ous",
           "ive", "ize")  # fmt: skip


def stem(word: str) -> str:
    """Return Porter's stem of a lower-case word; words of one or two letters are left alone."""
    if len(word) <= 2:
        return word
    word = _step_1(word)
    if word.endswith("y") and _has_vowel(word[:-1]):
        word = word[:-1] + "i"
    for table in (_STEP_2, _STEP_3):
        ending = _longest(word, table)
        if ending and _measure(word[: -len(ending)]) > 0:
            word = word[: -len(ending)] + table[ending]
    ending = _longest(word, _STEP_4)
    root = word[: -len(ending)] if ending else word
    if ending and _measure(root) > 1 and (ending != "ion" or root.endswith(("s", "t"))):
        word = root
    if word.endswith("e"):
        m = _measure(word[:-1])
        if m > 1 or (m == 1 and not _is_short(word[:-1])):
            word = word[:-1]
    return word[:-1] if word.endswith("ll") and _measure(word[:-1]) > 1 else word


def _step_1(word: str) -> str:
    if word.endswith("sses") or word.endswith("ies"):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    if word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) > 0 else word
    for ending in ("ed", "ing"):
        root = word[: -len(ending)]
        if word.endswith(ending) and _has_vowel(root):
            if root.endswith(("at", "bl", "iz")):
                return root + "e"
            if root[-2:-1] == root[-1:] and not _is_vowel(root, len(root) - 1) and root[-1] not in "lsz":
                return root[:-1]
            return root + "e" if _measure(root) == 1 and _is_short(root) else root
    return word


def _longest(word: str, endings: Iterable[str]) -> str:
    return max((ending for ending in endings if word.endswith(ending)), key=len, default="")


def _is_vowel(word: str, at: int) -> bool:
    return word[at] in "aeiou" or (word[at] == "y" and at > 0 and not _is_vowel(word, at - 1))


def _has_vowel(word: str) -> bool:
    return any(_is_vowel(word, at) for at in range(len(word)))


def _measure(word: str) -> int:
    """Return how often a vowel is followed by a consonant."""
    kinds = [_is_vowel(word, at) for at in range(len(word))]
    return sum(here and not behind for here, behind in itertools.pairwise(kinds))


def _is_short(word: str) -> bool:
    """Whether a word ends in consonant, vowel, consonant other than w, x, y."""
    return (
        len(word) >= 3 and not _is_vowel(word, len(word) - 1) and _is_vowel(word, len(word) - 2)
        and not _is_vowel(word, len(word) - 3) and word[-1] not in "wxy"
    )  # fmt: skip
