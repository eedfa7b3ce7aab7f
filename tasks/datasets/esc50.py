"""ESC-50: 2,000 environmental recordings of 5 s in 50 classes (Piczak 2015), with the ESC-10 subset marked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from benchmark import (
    Archive,
    DataError,
    Dataset,
    FileChecksums,
    draw_recording,
    match_audio,
    numpy_stream,
    place_in_noise,
    read_metadata,
    sound_kinds,
    synthesise_sound,
    write_wav,
)

CLASSES = (
    *("dog", "rooster", "pig", "cow", "frog", "cat", "hen", "insects", "sheep", "crow"),
    *("rain", "sea_waves", "crackling_fire", "crickets", "chirping_birds"),
    *("water_drops", "wind", "pouring_water", "toilet_flush", "thunderstorm"),
    *("crying_baby", "sneezing", "clapping", "breathing", "coughing"),
    *("footsteps", "laughing", "brushing_teeth", "snoring", "drinking_sipping"),
    *("door_wood_knock", "mouse_click", "keyboard_typing", "door_wood_creaks", "can_opening"),
    *("washing_machine", "vacuum_cleaner", "clock_alarm", "clock_tick", "glass_breaking"),
    *("helicopter", "chainsaw", "siren", "car_horn", "engine"),
    *("train", "church_bells", "airplane", "fireworks", "hand_saw"),
)
"""In the order of the official ``target``."""

ESC10 = frozenset(
    {
        "dog",
        "rooster",
        "rain",
        "sea_waves",
        "crackling_fire",
        "crying_baby",
        "sneezing",
        "clock_tick",
        "helicopter",
        "chainsaw",
    }
)

_METADATA = "meta/esc50.csv"
_COLUMNS = ("filename", "fold", "target", "category", "esc10", "src_file", "take")
_RATE = 44_100
_SECONDS = 5


class Esc50(Dataset):
    """ESC-50 in its official layout; a metadata file that lists a subset is read as that subset."""

    id = "esc50"
    title = "ESC-50"
    homepage = "https://github.com/karolpiczak/ESC-50"
    licence = "CC BY-NC 3.0 (ESC-10 subset CC BY)"
    citation = "K. J. Piczak. ESC: Dataset for Environmental Sound Classification. ACM Multimedia 2015, 1015-1018."
    archives = (
        Archive(
            file="ESC-50-master.zip",
            url="https://github.com/karolpiczak/ESC-50/archive/master.zip",
            bytes=647_224_334,
            md5="7771e4b9d86d0945acce719c7a59305a",
            source="soundata soundata/datasets/esc50.py; hear-preprocess esc50.py; bytes: one public script only",
            note="built on demand by the host, so that its md5 can change: the files' own checksums decide",
        ),
    )
    folder = "ESC-50-master"
    labels = {"category": CLASSES}  # noqa: RUF012 (a ClassVar of the base)
    expected_clips = 2_000
    expected_splits = dict.fromkeys("12345", 400)
    file_checksums = FileChecksums(
        url="https://zenodo.org/records/11176809/files/esc50_index_2.0.json",
        what="md5 of each of the 2000 wav",
        md5="7f1bf89ff69ee6aaa5c7018a75de73cf",
        source="soundata soundata/datasets/esc50.py (read 009ec15e; PyPI soundata 0.1.3)",
    )
    notes = (
        "Some recordings were pre-processed before they were collected, mostly band-limited, in a class-dependent manner "
        "(README).",
        "The first release was Ogg Vorbis; the WAV files are crops of those, so that traces of the codec remain (README).",
        "459 clips (425 sources) share a Freesound id with FSD50K's development part, 171 (152) with its evaluation part, "
        "106 (94) with UrbanSound8K (measured).",
    )

    def read(self, folder: Path) -> pd.DataFrame:
        """Rows in the order of ``meta/esc50.csv``; groups are Freesound ids (``src_file``)."""
        table = read_metadata(folder / _METADATA, _COLUMNS)
        for name, fold, target, category, esc10, source, take in table[list(_COLUMNS)].itertuples(index=False):
            known = target.isdecimal() and int(target) < len(CLASSES) and CLASSES[int(target)] == category
            if not known or name != f"{fold}-{source}-{take}-{target}.wav" or esc10 != str(category in ESC10):
                raise DataError(f"{folder / _METADATA} contradicts itself about {name}; fetch the dataset again.")
        clips = pd.DataFrame(
            {
                "clip_id": table["filename"].str.removesuffix(".wav"),
                "path": "audio/" + table["filename"],
                "group": "freesound:" + table["src_file"],
                "fold": table["fold"],
                "category": table["category"],
                "esc10": table["esc10"] == "True",
            }
        )
        match_audio(folder, clips["path"], "audio")
        return clips

    def write_standin(self, folder: Path, seed: int) -> None:
        """All 50 classes in five folds: four clips a fold of each ESC-10 class, one of the others."""
        (folder / "audio").mkdir()
        (folder / "meta").mkdir()
        kinds = sound_kinds(len(CLASSES))
        targets = [
            (fold, target)
            for fold in "12345"
            for target in range(50)
            for _ in range(4 if CLASSES[target] in ESC10 else 1)
        ]
        sources = numpy_stream(seed, self.id, "sources").permutation(np.arange(100_000, 130_000))
        rows = []
        for source, (fold, target) in zip(sources.tolist(), targets, strict=False):
            name = f"{fold}-{source}-A-{target}.wav"
            generator = numpy_stream(seed, self.id, name)
            length = int(generator.uniform(0.4, 1) * _SECONDS * _RATE)
            wave = synthesise_sound(generator, draw_recording(generator, kinds[target]), length, _RATE)
            clip = place_in_noise(generator, wave, _SECONDS * _RATE, _RATE)
            write_wav(folder / "audio" / name, clip, _RATE)
            rows.append([name, fold, target, CLASSES[target], CLASSES[target] in ESC10, source, "A"])
        table = pd.DataFrame(rows, columns=list(_COLUMNS)).sort_values("filename")
        table.to_csv(folder / _METADATA, index=False)


DATASET = Esc50()
