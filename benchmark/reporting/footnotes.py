"""Letters in a table's cells that stand for a reason, explained below the table."""

from __future__ import annotations


class Footnotes:
    """The reasons of one table, in the order in which they were first given."""

    def __init__(self) -> None:
        self._letters: dict[str, str] = {}

    def mark(self, reason: str) -> str:
        """The letter of a reason: the same for the same reason."""
        return self._letters.setdefault(reason or "no reason was given", _letters(len(self._letters)))

    def notes(self) -> list[str]:
        """``(a) reason.`` for each."""
        return [f"({letter}) {reason.rstrip('.')}." for reason, letter in self._letters.items()]


def _letters(index: int) -> str:
    """a, b, ..., z, aa, ab, ..."""
    prefix = "" if index < 26 else _letters(index // 26 - 1)
    return prefix + chr(ord("a") + index % 26)
