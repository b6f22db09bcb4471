"""Near copies among a few hundred texts.

`linnet prepare` finds near copies among millions of rows by MinHash, on the build side. Here only
the texts of one queue are compared, so the similarity is computed exactly, by an index of words.
"""

from collections import Counter, defaultdict

THRESHOLD = 0.8  # Jaccard similarity of the sets of words, as in `linnet prepare`
FEWEST_WORDS = 4  # of fewer words, texts that differ in one differ in more than a fifth


class NearCopies:
    """The texts that were taken so far."""

    def __init__(self) -> None:
        self._sizes: list[int] = []
        self._by_word: dict[str, list[int]] = defaultdict(list)

    def add(self, text: str) -> None:
        """Take a text."""
        words = _words(text)
        number = len(self._sizes)
        self._sizes.append(len(words))
        for word in words:
            self._by_word[word].append(number)

    def has(self, text: str) -> bool:
        """Whether a text that was taken shares nearly all words with this one."""
        words = _words(text)
        if len(words) < FEWEST_WORDS:
            return False
        shared = Counter(number for word in words for number in self._by_word.get(word, ()))
        return any(
            count >= THRESHOLD * (len(words) + self._sizes[number] - count)
            for number, count in shared.items()
        )


def _words(text: str) -> frozenset[str]:
    return frozenset("".join(c if c.isalnum() else " " for c in text.casefold()).split())
