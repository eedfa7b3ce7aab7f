"""TAU Urban Acoustic Scenes 2019, development set of DCASE 2019 task 1a: ten scenes in twelve cities."""

from __future__ import annotations

from tasks.datasets._urban_scenes import UrbanScenes, archives


class TauUrbanScenes2019(UrbanScenes):
    """The official fold: no recording location in both parts, Milan in the test part only, 1,030 clips unused."""

    id = "tau2019_1a"
    title = "TAU Urban Acoustic Scenes 2019 (DCASE 2019 task 1a)"
    homepage = "https://zenodo.org/record/2589280"
    licence = "Tampere University: experimental and non-commercial use only"
    citation = (
        "A. Mesaros, T. Heittola, T. Virtanen. A multi-device dataset for urban acoustic scene classification. "
        "DCASE Workshop 2018."
    )
    folder = "TAU-urban-acoustic-scenes-2019-development"
    archives = archives(
        "TAU-urban-acoustic-scenes-2019-development",
        2_589_280,
        "DCASE-REPO/dcase_util@a2694b0 dcase_util/datasets/tut.py (md5 agree with soundata tau2019uas.py)",
        ("doc", 11_299, "1f6879544e80da70099a191613e7e51f"),
        ("meta", 156_863, "09782f2097e4735687af73c44919329c"),
        ("audio.1", 1_657_550_587, "aca4ebfd9ed03d5f747d6ba8c24bc728"),
        ("audio.2", 1_666_219_450, "c4f170408ce77c8c70c532bf268d7be0"),
        ("audio.3", 1_817_901_591, "c7214a07211f10f3250290d05e72c37e"),
        ("audio.4", 1_821_710_642, "a6a62110f6699cf4432072acb1dffda6"),
        ("audio.5", 1_803_118_466, "091a0b6d3c84b8e60e46940aa7d4a8a0"),
        ("audio.6", 1_789_566_029, "114f4ca13e074391b98a1cfd8140de65"),
        ("audio.7", 1_747_953_866, "5951dd2968f7a514e2afbe279c4f060d"),
        ("audio.8", 1_728_724_513, "b0b63dc95b327e1509857c8d8a663cc3"),
        ("audio.9", 1_667_106_209, "3c32a693a6b111ffb957be3c1dd22e9b"),
        ("audio.10", 1_632_636_175, "0ffbf60006da520cc761fb74c878b98b"),
        ("audio.11", 1_671_793_546, "599055d93b4c11057c29be2df54538d4"),
        ("audio.12", 1_672_592_150, "98b8d162ff3665695c4c910e6c372cc8"),
        ("audio.13", 1_673_481_614, "a356c08b1a5a21d433eba37ef87587f4"),
        ("audio.14", 1_666_137_450, "f8969771e7faf7dd471d1cf78b0cf011"),
        ("audio.15", 1_675_127_004, "4758c4b0fb7484faa632266e78850820"),
        ("audio.16", 1_648_240_966, "a18acad9ede8ea76574216feb887f0bc"),
        ("audio.17", 1_698_414_214, "1af7703484632f340da5c33662dc9632"),
        ("audio.18", 1_731_093_704, "b67402bf3e08f4da394a7c18756c0fd2"),
        ("audio.19", 1_745_153_640, "035db315f19106eb848b6f9b32bcc47c"),
        ("audio.20", 1_774_038_704, "9cb28c74911bf8a3eadcf53f50a5b5d6"),
        ("audio.21", 1_333_808_800, "0e44ed85c88ec036a9725b4dd1dfaea0"),
    )
    expected_clips = 14_400
    expected_splits = {"train": 9_185, "test": 4_185, "unused": 1_030}  # noqa: RUF012 (a ClassVar of the base)
    notes = (
        "Only the development set is read: the labels of the leaderboard and evaluation sets are not published; the 1,200 "
        "leaderboard files are byte-identical to evaluation files.",
        "Re-uses segments of TUT 2018's development set under the same file names: never pre-train on one and test on the "
        "other.",
        "md5 of every file: soundata's index of tau2019uas, inside PyPI soundata 0.1.3.",
        "Column names of meta.csv are from memory of the package.",
    )


DATASET = TauUrbanScenes2019()
