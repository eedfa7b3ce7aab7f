"""FSD50K, FSDnoisy18k and FSDKaggle2019: three layouts of one house, and their differences."""

from __future__ import annotations

import hashlib

import pandas as pd
import pytest

from benchmark import registry
from benchmark.errors import DataError
from tasks.datasets import fsd50k, fsdkaggle2019
from tests.tasks.datasets.conftest import CopyOf


class TestFsd50k:
    def test_the_vocabulary_is_the_official_one(self):
        digest = hashlib.md5(fsd50k.VOCABULARY.read_bytes()).hexdigest()
        assert digest == "0caaf9955ca53e358e9ab8f1e6271ba2"
        assert len(fsd50k.CLASSES) == 200

    def test_labels_come_in_the_vocabulary_s_order(self, copy_of: CopyOf):
        folder = copy_of("fsd50k")
        table = pd.read_csv(folder / "FSD50K.ground_truth" / "dev.csv", dtype=str)
        table.loc[0, "labels"] = "Water,Rain,Animal"
        table.to_csv(folder / "FSD50K.ground_truth" / "dev.csv", index=False)
        clips = registry.load("dataset", "fsd50k").read(folder).set_index("clip_id")
        assert clips["labels"][table["fname"][0]] == "Animal|Rain|Water"

    def test_another_vocabulary_is_refused(self, copy_of: CopyOf):
        folder = copy_of("fsd50k")
        file = folder / "FSD50K.ground_truth" / "vocabulary.csv"
        lines = file.read_text().split("\n")
        file.write_text("\n".join([lines[1], lines[0], *lines[2:]]))
        with pytest.raises(DataError, match="200 classes in its order"):
            registry.load("dataset", "fsd50k").read(folder)

    def test_names_in_the_table_have_no_suffix(self, copy_of: CopyOf):
        folder = copy_of("fsd50k")
        table = pd.read_csv(folder / "FSD50K.ground_truth" / "dev.csv", dtype=str)
        assert table["fname"].str.isdecimal().all()
        clips = registry.load("dataset", "fsd50k").read(folder)
        assert (clips["path"].str.rsplit("/").str[-1] == clips["clip_id"] + ".wav").all()
        assert (clips["group"] == "freesound:" + clips["clip_id"]).all()

    def test_the_published_validation_part_is_kept(self, copy_of: CopyOf):
        folder = copy_of("fsd50k")
        table = pd.read_csv(folder / "FSD50K.ground_truth" / "dev.csv", dtype=str).set_index("fname")["split"]
        clips = registry.load("dataset", "fsd50k").read(folder).set_index("clip_id")["split"]
        assert (clips.loc[table.index] == table.replace("val", "valid")).all()


class TestFsdNoisy18k:
    def test_parts_follow_the_flag(self, copy_of: CopyOf):
        folder = copy_of("fsdnoisy18k")
        table = pd.read_csv(folder / "FSDnoisy18k.meta" / "train.csv", dtype=str)
        verified = dict(zip(table["fname"].str.removesuffix(".wav"), table["manually_verified"], strict=True))
        clips = registry.load("dataset", "fsdnoisy18k").read(folder).set_index("clip_id")
        for clip, flag in verified.items():
            row = clips.loc[clip]
            assert row["split"] == ("train_clean" if flag == "1" else "train_noisy")
            assert row["noisy_split"] == ("valid" if flag == "1" else "train")
            assert row["clean_split"] in ({"train", "valid"} if flag == "1" else {"unused"})
            assert (row["fold"] == "none") == (flag == "0")
        assert (clips["split"] == "test").sum() == len(clips) - len(verified)

    def test_the_clean_validation_part_is_15_percent_of_each_class_and_the_same_in_any_order(self):
        clean = pd.DataFrame({"clip_id": [str(n) for n in range(300)], "label": ["a"] * 200 + ["b"] * 97 + ["c"] * 3})
        dataset = registry.load("dataset", "fsdnoisy18k")
        held_out = clean.loc[dataset._held_out(clean)]
        assert held_out["label"].value_counts().to_dict() == {"a": 30, "b": 15, "c": 1}
        turned = clean.iloc[::-1].reset_index(drop=True)
        assert set(turned.loc[dataset._held_out(turned), "clip_id"]) == set(held_out["clip_id"])

    def test_folds_deal_out_each_class(self, copy_of: CopyOf):
        clips = registry.load("dataset", "fsdnoisy18k").read(copy_of("fsdnoisy18k"))
        counts = clips[clips["clean"]].groupby("label")["fold"].value_counts().unstack(fill_value=0)
        assert (counts.max(axis=1) - counts.min(axis=1) <= 1).all()

    def test_an_unknown_flag(self, copy_of: CopyOf):
        folder = copy_of("fsdnoisy18k")
        table = pd.read_csv(folder / "FSDnoisy18k.meta" / "train.csv", dtype=str)
        table.loc[3, "manually_verified"] = "2"
        table.to_csv(folder / "FSDnoisy18k.meta" / "train.csv", index=False)
        with pytest.raises(DataError, match="unknown label '2'"):
            registry.load("dataset", "fsdnoisy18k").read(folder)


class TestFsdKaggle2019:
    def test_there_are_80_classes(self):
        assert len(fsdkaggle2019.CLASSES) == len(set(fsdkaggle2019.CLASSES)) == 80

    def test_several_labels_stand_in_one_quoted_field(self, copy_of: CopyOf):
        folder = copy_of("fsdkaggle2019")
        file = folder / "FSDKaggle2019.meta" / "train_curated_post_competition.csv"
        several = [line for line in file.read_text().split("\n") if '"' in line]
        name, labels = several[0].split(",", 1)[0], several[0].split('"')[1]
        assert "," in labels
        clips = registry.load("dataset", "fsdkaggle2019").read(folder).set_index("clip_id")
        assert set(clips["labels"][name.removesuffix(".wav")].split("|")) == set(labels.split(","))

    def test_groups_are_of_two_houses(self, copy_of: CopyOf):
        clips = registry.load("dataset", "fsdkaggle2019").read(copy_of("fsdkaggle2019"))
        house = clips["group"].str.split(":").str[0]
        assert (house[clips["split"] == "train_noisy"] == "flickr").all()
        assert (house[clips["split"] != "train_noisy"] == "freesound").all()

    def test_each_task_trains_on_its_own_part(self, copy_of: CopyOf):
        clips = registry.load("dataset", "fsdkaggle2019").read(copy_of("fsdkaggle2019"))
        for part in ("curated", "noisy"):
            task = registry.load("task", f"fsdkaggle2019_{part}")
            trained = clips[clips[task.only] & (clips[task.split_column] == "train")]
            assert set(trained["split"]) == {f"train_{part}"}

    @pytest.mark.parametrize("labels", ["Bark,Barks", "Bark,Bark", "Bark,", "Bark, Meow"])
    def test_labels_that_are_none(self, copy_of: CopyOf, labels: str):
        folder = copy_of("fsdkaggle2019")
        file = folder / "FSDKaggle2019.meta" / "test_post_competition.csv"
        table = pd.read_csv(file, dtype=str)
        table.loc[0, "labels"] = labels
        table.to_csv(file, index=False)
        with pytest.raises(DataError, match="label"):
            registry.load("dataset", "fsdkaggle2019").read(folder)
