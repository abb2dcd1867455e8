"""Lexical ranking of a team's entries against a message: Okapi BM25, deterministic and without state.

Source: Robertson & Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), with the
always-positive inverse document frequency that Lucene uses.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

#: Saturation of a term's frequency and weight of a document's length: the customary values.
K1, B = 1.2, 0.75
#: A title says what an entry is about, so its words count this often.
TITLE_WEIGHT = 3
#: An entry that covers less than this share of the message's weight, by one word only, is a coincidence.
MIN_COVERAGE = 0.2
#: Entries far below the best one would only distract.
MIN_SHARE_OF_BEST = 0.3

_WORD = re.compile(r"[^\W_]+")
_SUFFIXES = ("ings", "ing", "ed", "es", "s")
_MIN_STEM = 3
_STOP_WORDS = frozenset(
    _WORD.findall(
        """
        a about again all also am an and any are as at be been before but by can could did do does doing
        done for from get gets getting go going got had has have he help her here him his hi hello how i if
        in into is it its just know last like long may me might more most much my need no not now of off on
        or our out over please see seem seems she should show so some tell than thank thanks that the their
        them then there these they thing things this those to too up us use very was we were what when where
        which while who why will with would yes you your
        """
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What is ranked: an id to break ties and the words by field."""

    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A document that speaks about the message; the higher the score the more so."""

    id: str
    score: float


def terms(text: str) -> list[str]:
    """The words of a text that carry meaning, lower-case, without accents' variants and plain suffixes."""
    words = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    return [_stem(word) for word in words if word not in _STOP_WORDS and (len(word) > 1 or word.isdigit())]


def rank(message: str, documents: Sequence[Document], *, limit: int) -> list[Match]:
    """The documents that match the message, best first, equal scores by id; at most `limit`."""
    query = sorted(set(terms(message)))
    if not query or not documents:
        return []
    frequencies = [
        Counter(terms(document.title) * TITLE_WEIGHT + terms(document.text)) for document in documents
    ]
    weights = _weights(query, frequencies)
    lengths = [frequency.total() for frequency in frequencies]
    average = sum(lengths) / len(lengths) or 1.0
    matches = [
        Match(id=document.id, score=score)
        for document, frequency, length in zip(documents, frequencies, lengths, strict=True)
        if _is_about(weights, frequency) and (score := _score(weights, frequency, length / average)) > 0
    ]
    matches.sort(key=lambda match: (-match.score, match.id))
    return [match for match in matches if match.score >= matches[0].score * MIN_SHARE_OF_BEST][:limit]


def _weights(query: Sequence[str], frequencies: Sequence[Counter[str]]) -> dict[str, float]:
    """The inverse document frequency of every term of the query: the rarer, the heavier."""
    count = len(frequencies)
    weights = {}
    for term in query:
        holding = sum(1 for frequency in frequencies if term in frequency)
        weights[term] = math.log(1 + (count - holding + 0.5) / (holding + 0.5))
    return weights


def _is_about(weights: dict[str, float], frequency: Counter[str]) -> bool:
    """Two words in common, or one that makes up a fair share of the message."""
    common = [term for term in weights if term in frequency]
    covered = sum(weights[term] for term in common)
    return len(common) > 1 or covered >= MIN_COVERAGE * sum(weights.values())


def _score(weights: dict[str, float], frequency: Counter[str], relative_length: float) -> float:
    """The BM25 sum over the query's terms."""
    norm = K1 * (1 - B + B * relative_length)
    return sum(
        weight * frequency[term] * (K1 + 1) / (frequency[term] + norm)
        for term, weight in weights.items()
        if term in frequency
    )


def _stem(word: str) -> str:
    """Strip one plain English suffix, so that `expired`, `expires` and `expire` are one term."""
    if word.isdigit() or word.endswith("ss"):
        return word
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= _MIN_STEM:
            word = word.removesuffix(suffix)
            break
    return word.removesuffix("e") if len(word) > _MIN_STEM + 1 else word
