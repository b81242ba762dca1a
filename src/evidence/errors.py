"""The one exception for what a person can mend: a file, a key, a setting."""

import difflib
from collections.abc import Iterable


class BadInput(ValueError):  # noqa: N818
    """Something handed in cannot be used. The message names it and says what to do; scripts print it, exit status 1."""


def near(word: str, words: Iterable[str]) -> str:
    """What stands there instead, for messages: the near miss if there is one, else all there is.

    >>> near("stepz", ["steps", "lr"])
    "did you mean 'steps'?"
    >>> near("colour", ["steps", "lr"])
    'there is: lr, steps'
    """
    words = sorted(words)
    close = difflib.get_close_matches(word, words, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"there is: {', '.join(words) or 'nothing'}"
