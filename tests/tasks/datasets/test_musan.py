from __future__ import annotations

from pathlib import Path

import pytest

from benchmark import registry
from tasks.datasets.musan import split

DATASET = registry.load("dataset", "musan")


def test_the_rule_gives_65_15_20():
    parts = [split(f"musan:noise-free-sound-{number:04d}") for number in range(10_000)]
    assert parts.count("test") / 10_000 == pytest.approx(0.20, abs=0.015)
    assert parts.count("valid") / 10_000 == pytest.approx(0.15, abs=0.015)


def test_pieces_of_one_artist_stay_together(tmp_path: Path):
    names = [
        "music/fma/music-fma-0000",
        "music/fma/music-fma-0001",
        "speech/librivox/speech-librivox-0000",
        "noise/free-sound/noise-free-sound-0000",
    ]
    for name in names:
        path = tmp_path / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    lines = "music-fma-0000 pop,electronica Y Quiet_Music\nmusic-fma-0001 blues N Quiet_Music\n"
    (tmp_path / "music" / "fma" / "ANNOTATIONS").write_text(lines)
    clips = DATASET.read(tmp_path).set_index("clip_id")
    assert clips["group"].to_dict() == {
        "music-fma-0000": "musan:fma-Quiet_Music",
        "music-fma-0001": "musan:fma-Quiet_Music",
        "speech-librivox-0000": "musan:speech-librivox-0000",
        "noise-free-sound-0000": "musan:noise-free-sound-0000",
    }
    assert clips["kind"].to_dict() == {name: name.split("-")[0] for name in clips.index}
