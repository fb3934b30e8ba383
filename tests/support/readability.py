"""How hard a text is to read, from its sentences, words and syllables. Pure.

English: the Flesch-Kincaid grade, 0.39 words a sentence + 11.8 syllables a word - 15.59 (Kincaid et al. 1975, Navy
Research Branch Report 8-75). Spanish: the ease of Fernandez Huerta, 206.84 - 60 syllables a word - 1.02 words a
sentence (1959, as corrected); 60 and more is plain, 70 and more easy. Syllables are counted by rules: about one word in
twenty is off by one.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
SENTENCE_END = re.compile(r"[.!?:;…]+(?:\s|$)")
ENGLISH_VOWELS = re.compile(r"[aeiouy]+")
STRONG, WEAK, WEAK_STRESSED = "aeoáéó", "iuü", "íú"


@dataclass(frozen=True)
class Counted:
    sentences: int
    words: int
    syllables: int

    @property
    def words_a_sentence(self) -> float:
        return self.words / self.sentences

    @property
    def grade(self) -> float:
        """Flesch-Kincaid: school years in the US."""
        return 0.39 * self.words_a_sentence + 11.8 * self.syllables / self.words - 15.59

    @property
    def ease(self) -> float:
        """Fernandez Huerta, for Spanish: 0 hard to 100 easy."""
        return 206.84 - 60 * self.syllables / self.words - 1.02 * self.words_a_sentence


def counted(texts: Iterable[str], language: str) -> Counted:
    """Count texts together; the end of a text ends its sentence. Raises ValueError when there is no word."""
    count = in_spanish if language == "es" else in_english
    sentences = [WORD.findall(part) for text in texts for part in SENTENCE_END.split(text)]
    sentences = [words for words in sentences if words]
    words = [word for sentence in sentences for word in sentence]
    if not words:
        raise ValueError("there is nothing to read")
    return Counted(len(sentences), len(words), sum(count(word) for word in words))


def in_english(word: str) -> int:
    """Syllables of an English word: groups of vowels, without the silent e of “make” and the ed of “marked”."""
    low = word.lower()
    found = len(ENGLISH_VOWELS.findall(low))
    silent_e = low.endswith("e") and not low.endswith(("le", "ee", "ye")) and found > 1
    silent_es = low.endswith("es") and not low.endswith(("ses", "ces", "ges", "zes", "xes", "ches", "shes", "ies"))
    silent_ed = low.endswith("ed") and not low.endswith(("ted", "ded", "eed", "ied"))
    return max(1, found - (silent_e or ((silent_es or silent_ed) and found > 1)))


def in_spanish(word: str) -> int:
    """Syllables of a Spanish word: each strong or stressed vowel is one, a weak one counts where it stands alone."""
    low = re.sub(r"(?<=[qg])u(?=[eiéí])", "", word.lower())
    low = re.sub(r"y$", "i", low)
    found, before = 0, ""
    for letter in low:
        if letter in STRONG:
            found += 0 if before and before in WEAK else 1
        elif letter in WEAK_STRESSED:
            found += 1
        elif letter in WEAK:
            found += 0 if before and before in STRONG + WEAK else 1
        before = letter
    return max(1, found)
