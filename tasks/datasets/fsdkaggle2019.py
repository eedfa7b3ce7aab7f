"""FSDKaggle2019: 29,266 clips tagged with 80 classes, a curated and a noisy training set (Fonseca et al. 2019)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from benchmark import (
    Archive,
    DataError,
    Dataset,
    match_audio,
    numpy_stream,
    read_metadata,
    sound_clip,
    sound_kinds,
    translate_labels,
    write_wav,
)

CLASSES = (
    *("Accelerating_and_revving_and_vroom", "Accordion", "Acoustic_guitar", "Applause", "Bark", "Bass_drum"),
    *("Bass_guitar", "Bathtub_(filling_or_washing)", "Bicycle_bell", "Burping_and_eructation", "Bus", "Buzz"),
    *("Car_passing_by", "Cheering", "Chewing_and_mastication", "Child_speech_and_kid_speaking", "Chink_and_clink"),
    *("Chirp_and_tweet", "Church_bell", "Clapping", "Computer_keyboard", "Crackle", "Cricket", "Crowd"),
    *("Cupboard_open_or_close", "Cutlery_and_silverware", "Dishes_and_pots_and_pans", "Drawer_open_or_close", "Drip"),
    *("Electric_guitar", "Fart", "Female_singing", "Female_speech_and_woman_speaking", "Fill_(with_liquid)"),
    *("Finger_snapping", "Frying_(food)", "Gasp", "Glockenspiel", "Gong", "Gurgling", "Harmonica", "Hi-hat", "Hiss"),
    *("Keys_jangling", "Knock", "Male_singing", "Male_speech_and_man_speaking", "Marimba_and_xylophone"),
    *("Mechanical_fan", "Meow", "Microwave_oven", "Motorcycle", "Printer", "Purr", "Race_car_and_auto_racing"),
    *("Raindrop", "Run", "Scissors", "Screaming", "Shatter", "Sigh", "Sink_(filling_or_washing)", "Skateboard"),
    *("Slam", "Sneeze", "Squeak", "Stream", "Strum", "Tap", "Tick-tock", "Toilet_flush"),
    *("Traffic_noise_and_roadway_noise", "Trickle_and_dribble", "Walk_and_footsteps", "Water_tap_and_faucet"),
    *("Waves_and_surf", "Whispering", "Writing", "Yell", "Zipper_(clothing)"),
)
"""In the order of the competition's submission file."""

_META = "FSDKaggle2019.meta"
_PARTS = {"train_curated": "freesound_id", "train_noisy": "flickr_video_URL", "test": "freesound_id"}
"""The official parts, each with the column that names a clip's source."""
_SOURCE = "names: dataset README and several public download scripts; no checksum found in any source searched"
_RATE = 44_100
_STANDIN_CLASSES = ("Bark", "Bass_drum", "Fill_(with_liquid)", "Gong", "Meow", "Strum")
_STANDIN_CLIPS = {"train_curated": 6, "train_noisy": 6, "test": 5}
_STANDIN_WRONG = 0.3


def _archive(name: str, part_of: str = "", *holds: str) -> Archive:
    url = f"https://zenodo.org/record/3612637/files/{name}?download=1"
    return Archive(name, url, source=_SOURCE, part_of=part_of, zenodo=3_612_637, into="FSDKaggle2019", holds=holds)


def _noisy() -> list[Archive]:
    name = "FSDKaggle2019.audio_train_noisy"
    ends = [*(f"z{number:02d}" for number in range(1, 7)), "zip"]
    return [_archive(f"{name}.{end}", f"{name}.zip", f"{name}/*") for end in ends]


class FsdKaggle2019(Dataset):
    """Audio in three folders, labels in ``FSDKaggle2019.meta/*_post_competition.csv``."""

    id = "fsdkaggle2019"
    title = "FSDKaggle2019"
    homepage = "https://zenodo.org/record/3612637"
    licence = "CC BY 4.0 (clips: CC0, CC BY, CC BY-NC, CC Sampling+ or CC BY-SA each)"
    citation = (
        "E. Fonseca, M. Plakal, F. Font, D. P. W. Ellis, X. Serra. "
        "Audio Tagging with Noisy Labels and Minimal Supervision. DCASE Workshop 2019."
    )
    archives = (
        _archive("FSDKaggle2019.audio_train_curated.zip", "", "FSDKaggle2019.audio_train_curated/*"),
        *_noisy(),
        _archive("FSDKaggle2019.audio_test.zip", "", "FSDKaggle2019.audio_test/*"),
        _archive("FSDKaggle2019.meta.zip", "", f"{_META}/*"),
        _archive("FSDKaggle2019.doc.zip"),
    )
    folder = "FSDKaggle2019"
    labels = {}  # noqa: RUF012 (a ClassVar of the base)
    multi_labels = {"labels": CLASSES}  # noqa: RUF012
    expected_clips = 29_266
    expected_splits = {"train_curated": 4_970, "train_noisy": 19_815, "test": 4_481}  # noqa: RUF012
    notes = (
        "Wrong labels by a renaming bug, in the curated part: f76181c4, 77b925c2, 6a1f682a, c7db12aa, 7752cc8a; no signal: "
        "1d44b0bd. They are kept, as srivastava2022 counts all 4,970 clips.",
        "srivastava2022 prints 19,185 noisy clips where there are 19,815.",
        "The noisy part comes from Flickr videos, the others from Freesound: an acoustic mismatch.",
        "The curated part and the test part are of the same pool as FSD50K; `freesound_id` allows the comparison.",
        "The order of the classes is that of the competition's submission file; vocabulary.csv was not available.",
    )

    def read(self, folder: Path) -> pd.DataFrame:
        """Rows in the order of the three tables; groups are Freesound ids and Flickr videos.

        ``role`` is ``train`` for both training parts; ``curated_or_test`` and ``noisy_or_test`` select one of them.
        """
        clips = pd.concat([self._part(folder, part, source) for part, source in _PARTS.items()], ignore_index=True)
        if (twice := clips["clip_id"].duplicated()).any():
            raise DataError(
                f"{folder / _META} lists the clip {clips['clip_id'][twice].iloc[0]} twice; fetch the dataset again."
            )
        return clips.assign(
            role=np.where(clips["split"] == "test", "test", "train"),
            curated_or_test=clips["split"] != "train_noisy",
            noisy_or_test=clips["split"] != "train_curated",
        )

    def _part(self, folder: Path, part: str, source: str) -> pd.DataFrame:
        file = folder / _META / f"{part}_post_competition.csv"
        table = read_metadata(file, ("fname", "labels", source))
        audio = f"FSDKaggle2019.audio_{part}"
        paths = audio + "/" + table["fname"]
        match_audio(folder, paths, audio)
        name = (
            table[source].str.removeprefix("https://").str.removeprefix("http://").str.replace(r"\s", "_", regex=True)
        )
        return pd.DataFrame(
            {
                "clip_id": table["fname"].str.removesuffix(".wav"),
                "path": paths,
                "group": ("freesound:" if source == "freesound_id" else "flickr:") + name,
                "split": part,
                "labels": translate_labels(table["labels"], {name: name for name in CLASSES}, file),
            }
        )

    def write_standin(self, folder: Path, seed: int) -> None:
        """Six sounds of the 80, one or two to a clip; a third of the noisy part's labels are wrong."""
        (folder / _META).mkdir()
        kinds = sound_kinds(len(_STANDIN_CLASSES))
        sources = iter(numpy_stream(seed, self.id, "sources").permutation(np.arange(100_000, 130_000)).tolist())
        names = iter(numpy_stream(seed, self.id, "names").permutation(1 << 16).tolist())
        for part, clips in _STANDIN_CLIPS.items():
            audio = folder / f"FSDKaggle2019.audio_{part}"
            audio.mkdir()
            rows = []
            for target in [target for target in range(len(_STANDIN_CLASSES)) for _ in range(clips)]:
                source, name = next(sources), f"{next(names) * 65_521 % (1 << 32):08x}.wav"
                generator = numpy_stream(seed, self.id, source)
                second = generator.uniform() < 0.25
                others = [number for number in range(len(_STANDIN_CLASSES)) if number != target]
                heard = [target, *generator.choice(others, size=int(second))]
                labels = ",".join(_STANDIN_CLASSES[number] for number in heard)
                if part == "train_noisy" and generator.uniform() < _STANDIN_WRONG:
                    heard = [int(generator.choice(others))]
                clip = sound_clip(generator, kinds[heard], int(generator.uniform(0.3, 1) * _RATE), _RATE)
                write_wav(audio / name, clip, _RATE)
                origin = f"https://www.flickr.com/video/{source}" if part == "train_noisy" else source
                rows.append([name, labels, origin, "CC0", "Private"][: 5 if part == "test" else 4])
            columns = ["fname", "labels", _PARTS[part], "license", "usage"][: 5 if part == "test" else 4]
            table = pd.DataFrame(rows, columns=columns).sort_values("fname")
            table.to_csv(folder / _META / f"{part}_post_competition.csv", index=False)


DATASET = FsdKaggle2019()
