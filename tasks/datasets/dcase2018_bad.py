"""DCASE 2018 task 3, bird audio detection: is there a bird in these ten seconds, in three very different collections?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from benchmark import (
    Archive,
    Dataset,
    FileChecksums,
    check_labels,
    match_audio,
    numpy_stream,
    read_metadata,
    sound_clip,
    sound_kinds,
    write_wav,
)

_SOURCE = "soundata freefield1010.py, warblrb10k.py, dcase_birdVox20k.py and dcase.community task page"

SETS = {
    "ff1010bird": ("ff1010bird_metadata_2018.csv", "freesound:"),
    "warblrb10k": ("warblrb10k_public_metadata_2018.csv", "warblr:"),
    "BirdVox-DCASE-20k": ("BirdVoxDCASE20k_csvpublic.csv", "birdvox:"),
}
"""The collections, each with its table and the namespace of its groups."""

_BIRD = 1
_RATE = 44_100
_STANDIN_CLIPS = 26


def _audio(file: str, url: str, of: str, note: str, zenodo: int | None = None) -> Archive:
    into = f"dcase2018_bad/{of}"
    return Archive(file, url, source=_SOURCE, note=note, zenodo=zenodo, into=into, holds=(f"{of}/wav/*",))


def _table(file: str, number: int) -> Archive:
    url = f"https://ndownloader.figshare.com/files/{number}"
    return Archive(file, url, source=_SOURCE, into="dcase2018_bad", holds=(file,))


class BirdAudioDetection(Dataset):
    """A folder and a table a collection; the tables give the file's name without ``.wav``. The collection is the fold."""

    id = "dcase2018_bad"
    title = "DCASE 2018 bird audio detection"
    homepage = "http://dcase.community/challenge2018/task-bird-audio-detection"
    licence = "CC BY 4.0 (soundata's text; its LICENSE_INFO says BY-NC)"
    citation = (
        "D. Stowell, M. Wood, H. Pamula, Y. Stylianou, H. Glotin. Automatic acoustic detection of birds through deep "
        "learning: the first Bird Audio Detection challenge. Methods in Ecology and Evolution, 2018."
    )
    archives = (
        _audio(
            "ff1010bird_wav.zip",
            "https://archive.org/download/ff1010bird/ff1010bird_wav.zip",
            "ff1010bird",
            "about 5.8 GB",
        ),
        _table("ff1010bird_metadata_2018.csv", 10_853_303),
        _audio(
            "warblrb10k_public_wav.zip",
            "https://archive.org/download/warblrb10k_public/warblrb10k_public_wav.zip",
            "warblrb10k",
            "about 4.3 GB",
        ),
        _table("warblrb10k_public_metadata_2018.csv", 10_853_306),
        _audio(
            "BirdVox-DCASE-20k.zip",
            "https://zenodo.org/record/1208080/files/BirdVox-DCASE-20k.zip?download=1",
            "BirdVox-DCASE-20k",
            "about 15.4 GB",
            1_208_080,
        ),
        _table("BirdVoxDCASE20k_csvpublic.csv", 10_853_300),
    )
    folder = "dcase2018_bad"
    labels = {"hasbird": ("0", "1")}  # noqa: RUF012 (a ClassVar of the base)
    expected_clips = 35_690
    expected_splits = {"ff1010bird": 7_690, "warblrb10k": 8_000, "BirdVox-DCASE-20k": 20_000}  # noqa: RUF012
    file_checksums = FileChecksums(
        url="https://zenodo.org/records/11176811/files/freefield1010_index_1.0.json",
        what="md5 per wav of ff1010bird; warblrb10k and BirdVox have theirs inside PyPI soundata 0.1.3",
        md5="0aed8eebb8fb66da1a8437729dfa0f05",
        source="soundata soundata/datasets/freefield1010.py (read 009ec15e; PyPI soundata 0.1.3)",
    )
    notes = (
        "Evaluation sets (warblr test, Chernobyl, PolandNFC) have no public labels and are not part of this.",
        "soundata gives one md5 for all seven archives, a placeholder; none is recorded here. Its per-file sums are real.",
        "Item ids of ff1010bird are assumed to be Freesound ids: so 139 are sources of ESC-50 and 193 of UrbanSound8K.",
        "The archives are taken to hold a folder wav, as soundata unpacks them.",
        "BirdVox was recorded at 24 kHz and resampled: nothing above 12 kHz.",
        "Birds are in 25 % of ff1010bird and 50 % of BirdVox (measured), and about 76 % of warblrb10k (challenge's page).",
        "A clip's label is for ten seconds: shorter crops inherit wrong positives.",
        "Which split wang2021 and tagliasacchi2020 used is not known.",
    )

    def read(self, folder: Path) -> pd.DataFrame:
        """Rows in the order of the three tables."""
        return pd.concat([_collection(folder, name, *of) for name, of in SETS.items()], ignore_index=True)

    def write_standin(self, folder: Path, seed: int) -> None:
        """Clips of each collection, half of them with a bird over one of the sounds that all have."""
        bird, *others = sound_kinds(8)
        for name, (file, _) in SETS.items():
            audio = folder / name / "wav"
            audio.mkdir(parents=True)
            generator = numpy_stream(seed, self.id, name)
            items = generator.permutation(np.arange(100_000, 130_000))[:_STANDIN_CLIPS]
            rows = []
            for place, item in enumerate(items.tolist()):
                of_item = numpy_stream(seed, self.id, name, item)
                heard = [others[int(of_item.integers(len(others)))], *([bird] if place % 2 == _BIRD else [])]
                clip = sound_clip(of_item, np.stack(heard), int(of_item.uniform(0.5, 1) * _RATE), _RATE)
                write_wav(audio / f"{item}.wav", clip, _RATE)
                rows.append([item, name, place % 2])
            table = pd.DataFrame(rows, columns=["itemid", "datasetid", "hasbird"]).sort_values("itemid")
            table.to_csv(folder / file, index=False)


def _collection(folder: Path, name: str, file: str, namespace: str) -> pd.DataFrame:
    table = read_metadata(folder / file, ("itemid", "hasbird"))
    check_labels(table["hasbird"], ("0", "1"), folder / file)
    paths = f"{name}/wav/" + table["itemid"] + ".wav"
    match_audio(folder, paths, f"{name}/wav")
    return pd.DataFrame(
        {
            "clip_id": f"{name}-" + table["itemid"],
            "path": paths,
            "group": namespace + table["itemid"],
            "fold": name,
            "hasbird": table["hasbird"],
        }
    )


DATASET = BirdAudioDetection()
