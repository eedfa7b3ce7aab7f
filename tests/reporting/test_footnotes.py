from __future__ import annotations

from benchmark.reporting.footnotes import Footnotes


def test_equal_reasons_share_a_letter():
    notes = Footnotes()
    assert [notes.mark(reason) for reason in ("x", "y", "x", "")] == ["a", "b", "a", "c"]
    assert notes.notes() == ["(a) x.", "(b) y.", "(c) no reason was given."]


def test_letters_go_on_after_z():
    notes = Footnotes()
    marks = [notes.mark(str(number)) for number in range(704)]
    assert (marks[25], marks[26], marks[51], marks[52], marks[701], marks[702]) == ("z", "aa", "az", "ba", "zz", "aaa")
