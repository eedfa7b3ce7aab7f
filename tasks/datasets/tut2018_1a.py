"""TUT Urban Acoustic Scenes 2018, development set of DCASE 2018 task 1a: ten scenes in six cities."""

from __future__ import annotations

from tasks.datasets._urban_scenes import UrbanScenes, archives


class TutUrbanScenes2018(UrbanScenes):
    """The official fold, whose lists have no header and end in ``.txt``: no recording location in both parts."""

    id = "tut2018_1a"
    title = "TUT Urban Acoustic Scenes 2018 (DCASE 2018 task 1a)"
    homepage = "https://zenodo.org/record/1228142"
    licence = "Tampere University: non-commercial (same family as 2019; not re-read)"
    citation = (
        "A. Mesaros, T. Heittola, T. Virtanen. A multi-device dataset for urban acoustic scene classification. "
        "DCASE Workshop 2018."
    )
    folder = "TUT-urban-acoustic-scenes-2018-development"
    archives = archives(
        "TUT-urban-acoustic-scenes-2018-development",
        1_228_142,
        "DCASE-REPO/dcase_util@a2694b0 dcase_util/datasets/tut.py",
        ("doc", 10_517, "28a4a9c46a6f46709ecc8eece365a3a4"),
        ("meta", 69_272, "e196065ee83c07af03a11a310364377d"),
        ("audio.1", 1_657_811_579, "62f97087c447e29def8716204469bf89"),
        ("audio.2", 1_783_489_370, "8e569a92025d82bff6b02b956d7c6dc9"),
        ("audio.3", 1_809_675_304, "00d2020582a4535af5e65322fb2bad56"),
        ("audio.4", 1_756_582_525, "d691eb4271f83ba6ba9a28797accc497"),
        ("audio.5", 1_724_002_546, "c4d64b5483b60f85e9fe080b3435a6be"),
        ("audio.6", 1_645_753_049, "2f0feee78f216697eb19497714d97642"),
        ("audio.7", 1_671_903_917, "07cfefe80a0731de6819181841239f3a"),
        ("audio.8", 1_673_304_843, "213f3c012859c2e9dcb74aacc8558458"),
        ("audio.9", 1_674_839_259, "b724442b09abcb3bd095ebff497cef85"),
        ("audio.10", 1_662_932_947, "a27a32fa52e283ed8013375b8a16f269"),
        ("audio.11", 1_751_473_843, "7073a121e825ffef99832507f30d6644"),
        ("audio.12", 1_742_332_198, "6567aa61db12776568b6267ce122fb18"),
        ("audio.13", 798_990_513, "d00eeb2db0e093d8975521323a96c519"),
    )
    expected_clips = 8_640
    expected_splits = {"train": 6_122, "test": 2_518}  # noqa: RUF012 (a ClassVar of the base)
    lists = "txt"
    notes = (
        "The split's counts 6,122 and 2,518 are from memory (unverified); they sum to the 8,640 clips.",
        "Only the development set is read: the labels of the evaluation set were not published.",
        "wang2021 prints 94.0 (COLA) and 90.4 where the challenge's baseline on this location-disjoint split is about 59 %: "
        "probably a random split of segments (inference). tagliasacchi2020 states no split.",
        "TAU 2019's development set re-uses segments of this one under the same file names.",
    )


DATASET = TutUrbanScenes2018()
