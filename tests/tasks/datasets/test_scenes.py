"""DCASE 2013 and the urban scenes of 2018 and 2019."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import soundfile

from benchmark import registry
from benchmark.errors import DataError
from tests.tasks.conftest import standin_corpus
from tests.tasks.datasets.conftest import CopyOf

URBAN = {"tau2019_1a": "csv", "tut2018_1a": "txt"}


class TestDcase2013:
    def test_both_sets_have_the_same_file_names(self, copy_of: CopyOf):
        clips = registry.load("dataset", "dcase2013_scenes").read(copy_of("dcase2013_scenes"))
        names = clips.groupby("fold")["path"].apply(lambda paths: {path.split("/")[1] for path in paths})
        assert names["public"] == names["private"]
        assert clips["clip_id"].is_unique

    @pytest.mark.parametrize(("name", "scene"), [("bus09", "bus"), ("busystreet09", "busystreet"), ("tube09", "tube")])
    def test_a_scene_that_begins_another(self, copy_of: CopyOf, name: str, scene: str):
        folder = copy_of("dcase2013_scenes")
        (folder / "scenes_stereo" / f"{name}.wav").touch()
        clips = registry.load("dataset", "dcase2013_scenes").read(folder)
        assert clips.set_index("clip_id")["scene"][f"public-{name}"] == scene

    @pytest.mark.parametrize("name", ["bus1", "bus001", "street01", "test_bus01"])
    def test_foreign_names(self, copy_of: CopyOf, name: str):
        folder = copy_of("dcase2013_scenes")
        (folder / "scenes_stereo" / f"{name}.wav").touch()
        with pytest.raises(DataError, match="is not named"):
            registry.load("dataset", "dcase2013_scenes").read(folder)


@pytest.mark.parametrize("name", URBAN)
class TestUrbanScenes:
    def test_lists_have_their_own_suffix_and_header(self, name: str, copy_of: CopyOf):
        folder = copy_of(name)
        setup = sorted(file.name for file in (folder / "evaluation_setup").iterdir())
        assert setup == [f"fold1_{part}.{URBAN[name]}" for part in ("evaluate", "test", "train")]
        first = (folder / "evaluation_setup" / f"fold1_train.{URBAN[name]}").read_text().split("\n")[0]
        assert first.startswith("filename\t" if URBAN[name] == "csv" else "audio/")

    def test_groups_are_identifiers(self, name: str, copy_of: CopyOf):
        folder = copy_of(name)
        meta = pd.read_csv(folder / "meta.csv", sep="\t").set_index("filename")
        clips = registry.load("dataset", name).read(folder).set_index("path")
        assert (clips["group"] == "tut:" + meta["identifier"].reindex(clips.index)).all()
        assert clips.groupby("group")["split"].nunique().eq(1).all()

    def test_a_segment_s_location_is_the_same_in_both_years(self, name: str, copy_of: CopyOf):
        """The later set re-uses the earlier one's files, so that their groups must meet."""
        other = next(other for other in URBAN if other != name)
        groups = []
        for each in (name, other):
            folder = copy_of(each)
            table = pd.read_csv(folder / "meta.csv", sep="\t")
            file = "audio/airport-barcelona-0-0-a.wav"
            (folder / file).touch()
            row = pd.DataFrame([[file, "airport", "barcelona-0", "a"]], columns=table.columns)
            pd.concat([table, row]).to_csv(folder / "meta.csv", sep="\t", index=False)
            clips = registry.load("dataset", each).read(folder)
            groups.append(clips.set_index("path")["group"][file])
        assert groups == ["tut:barcelona-0"] * 2

    def test_a_list_that_contradicts_the_table(self, name: str, copy_of: CopyOf):
        folder = copy_of(name)
        file = folder / "evaluation_setup" / f"fold1_train.{URBAN[name]}"
        file.write_text(file.read_text().replace("\tbus\n", "\ttram\n", 1))
        with pytest.raises(DataError, match=r"contradicts meta\.csv"):
            registry.load("dataset", name).read(folder)

    def test_a_clip_in_two_parts(self, name: str, copy_of: CopyOf):
        folder = copy_of(name)
        setup = folder / "evaluation_setup"
        line = (setup / f"fold1_train.{URBAN[name]}").read_text().split("\n")[1]
        with (setup / f"fold1_evaluate.{URBAN[name]}").open("a") as file:
            file.write(line + "\n")
        with pytest.raises(DataError, match="another part"):
            registry.load("dataset", name).read(folder)

    def test_the_audio_is_as_wide_as_the_real_one(self, name: str, root: Path):
        standin_corpus(root, registry.load("dataset", name))
        infos = {
            (info.subtype, info.channels, info.samplerate)
            for info in map(soundfile.info, sorted((root / "raw" / name / "audio").iterdir()))
        }
        assert infos == {("PCM_24", 2, 48_000)}
