from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.corpus.splits import (
    classes,
    folds,
    forbidden_rows,
    labels,
    missing_classes,
    nested_subsets,
    random_subset,
    training_audio,
)
from benchmark.errors import DataError
from benchmark.records import Task
from tests.corpus.conftest import Tones


def table(folds_: int = 5, classes_: int = 4, groups: int = 4, clips: int = 2, seed: int = 0) -> pd.DataFrame:
    """Clips of which each fold and class has ``groups`` sources of ``clips`` clips, in a random order."""
    rows = [
        {"fold": str(f + 1), "label": "abcdefgh"[c], "group": f"g{f}-{c}-{g}"}
        for f in range(folds_)
        for c in range(classes_)
        for g in range(groups)
        for _ in range(clips)
    ]
    shuffled = pd.DataFrame(rows).sample(frac=1, random_state=seed).reset_index(drop=True)
    return shuffled.assign(clip_id=[f"clip{n}" for n in range(len(shuffled))])


TASK = Task(id="toy", title="Toy", dataset="toy", label="label", fold_column="fold")
SPLIT = Task(id="toy", title="Toy", dataset="toy", label="label", split_column="split")


def test_audio_of_a_training_part_shares_nothing_with_what_is_evaluated():
    """Noisy clips train; clean ones validate and are scored; b is in a test clip's source, d a copy of a clean clip."""
    clips = pd.DataFrame(
        {
            "split": ["train"] * 5 + ["valid"] * 4 + ["test"] * 2,
            "label": ["x", "y", "x", "x", "y", "x", "y", "x", "y", "x", "y"],
            "group": ["a", "k", "b", "c", "d", "e", "f", "g", "h", "b", "i"],
            "checksum": ["1", "2", "3", "4", "6", "5", "6", "7", "8", "9", "10"],
            "clean": [False] * 5 + [True] * 4 + [False] * 2,
            "fold": ["none"] * 5 + ["1", "1", "2", "2"] + ["none"] * 2,
        }
    )
    among = Task(id="among", title="Among", dataset="toy", label="label", fold_column="clean_fold", only="clean")
    clips["clean_fold"] = clips["fold"]
    clips = pd.concat(
        [clips, clips[clips["clean"]].assign(group=["e2", "f2", "g2", "h2"], checksum=["11", "12", "13", "14"])]
    )
    clips = clips.reset_index(drop=True)
    assert np.flatnonzero(training_audio(SPLIT, clips, [among])).tolist() == [0, 1, 3]
    assert np.flatnonzero(training_audio(SPLIT, clips, [])).tolist() == [0, 1, 3]


def test_official_folds_only():
    clips = table()
    found = folds(TASK, clips, 0)
    assert [fold.name for fold in found] == ["1", "2", "3", "4", "5"]
    for fold in found:
        assert set(fold.test) == set(np.flatnonzero(clips["fold"] == fold.name))
        rows = np.concatenate([fold.train, fold.valid, fold.test])
        assert sorted(rows) == list(range(len(clips)))
        assert fold.dropped.size == 0


@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(2, 5), st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_no_group_straddles_and_every_class_trains_and_validates(seed: int, groups: int, folds_: int, clips_: int):
    clips = table(folds_, 3, groups + 1, clips_, seed % 100)
    for fold in folds(TASK, clips, seed):
        parts = [set(clips["group"].iloc[rows]) for rows in (fold.train, fold.valid, fold.test)]
        assert not set.intersection(parts[0], parts[1] | parts[2])
        assert not parts[1] & parts[2]
        assert set(clips["label"].iloc[fold.train]) == set(clips["label"].iloc[fold.valid]) == {"a", "b", "c"}


def test_validation_is_about_a_fifth_of_each_class():
    clips = table(groups=10)
    for fold in folds(TASK, clips, 0):
        share = clips["label"].iloc[fold.valid].value_counts() / 80
        assert share.between(0.175, 0.225).all()


def test_folds_are_sorted_as_numbers():
    clips = table().replace({"fold": {"2": "10"}})
    assert [fold.name for fold in folds(TASK, clips, 0)] == ["1", "3", "4", "5", "10"]


def test_folds_are_a_function_of_the_seed_and_not_of_the_order_of_groups():
    clips = table()
    first, again, other = (folds(TASK, clips, seed) for seed in (0, 0, 1))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a.valid, b.valid)
    assert any((a.valid != b.valid).any() for a, b in zip(first, other, strict=True) if len(a.valid) == len(b.valid))
    reordered = clips.iloc[::-1].reset_index(drop=True)
    for a, b in zip(first, folds(TASK, reordered, 0), strict=True):
        assert set(clips["clip_id"].iloc[a.valid]) == set(reordered["clip_id"].iloc[b.valid])


def test_sources_in_two_folds_leave_the_training_part():
    clips = table()
    source = clips.loc[clips["fold"] == "1", "group"].iloc[0]
    moved = np.flatnonzero(clips["group"] == source)[:1]
    clips.loc[moved, "fold"] = "2"
    first, second, third = folds(TASK, clips, 0)[:3]
    assert first.dropped.tolist() == moved.tolist()
    assert clips["group"].iloc[second.dropped].tolist() == [source]
    assert moved[0] in second.test
    assert third.dropped.size == 0
    for fold in (first, second):
        assert source not in set(clips["group"].iloc[[*fold.train, *fold.valid]])


def test_official_validation_part_is_kept():
    clips = table().assign(split=lambda t: t["fold"].map({"1": "test", "2": "valid"}).fillna("train"))
    (fold,) = folds(SPLIT, clips, 0)
    assert fold.name == "official"
    for name in ("train", "valid", "test"):
        assert set(getattr(fold, name)) == set(np.flatnonzero(clips["split"] == name))


def test_validation_and_test_never_share_a_source():
    clips = table().assign(split=lambda t: t["fold"].map({"1": "test", "2": "valid"}).fillna("train"))
    valid = np.flatnonzero(clips["split"] == "valid")[0]
    clips.loc[valid, "group"] = clips.loc[clips["split"] == "test", "group"].iloc[0]
    (fold,) = folds(SPLIT, clips, 0)
    assert valid not in fold.valid
    assert valid in fold.dropped


def test_the_group_column_is_the_tasks():
    clips = table().assign(
        split=lambda t: np.where(t["fold"] == "1", "test", "train"), speaker="one", take=lambda t: t["fold"]
    )
    task = Task(id="toy", title="Toy", dataset="toy", label="label", split_column="split", group="take")
    (fold,) = folds(task, clips, 0)
    assert len(set(clips["take"].iloc[fold.valid])) == 1


def test_a_class_dominated_by_one_source_still_validates():
    clips = table(folds_=2, classes_=2, groups=3, clips=1)
    big = clips.loc[(clips["label"] == "a") & (clips["fold"] == "1"), "group"].iloc[0]
    extra = pd.DataFrame({"fold": "1", "label": "a", "group": big, "clip_id": [f"x{n}" for n in range(20)]})
    for fold in folds(TASK, pd.concat([clips, extra], ignore_index=True), 3):
        assert fold.valid.size


@pytest.mark.parametrize(
    ("clips", "fault"),
    [
        (table(folds_=2, groups=1), "class 'a' has a single source"),
        (table(folds_=1), "at least two folds"),
        (table().query("label != 'b' or fold == '1'").reset_index(drop=True), "class 'b' has test clips"),
    ],
)
def test_too_few_clips_is_one_sentence(clips: pd.DataFrame, fault: str):
    with pytest.raises(DataError, match=fault) as caught:
        folds(TASK, clips, 0)
    assert "\n" not in str(caught.value)
    assert "toy" in str(caught.value)


def test_an_empty_part_is_one_sentence():
    clips = table().assign(split="train")
    with pytest.raises(DataError, match="the test part has no clips"):
        folds(SPLIT, clips, 0)


class Toy(Tones):
    labels: ClassVar[dict[str, tuple[str, ...]]] = {"label": ("d", "c", "b", "a")}


def test_labels_follow_the_official_order():
    clips = table()
    found = labels(TASK, Toy(), clips)
    assert [("d", "c", "b", "a")[n] for n in found] == clips["label"].tolist()


def test_a_task_of_a_subset_counts_its_own_classes():
    clips = table().assign(small=lambda t: t["label"].isin(["b", "d"]))
    task = Task(id="toy", title="Toy", dataset="toy", label="label", fold_column="fold", only="small")
    assert classes(task, Toy(), clips) == ("d", "b")
    found = labels(task, Toy(), clips)
    assert set(found[~clips["small"]]) == {-1}
    assert (found[clips["label"] == "b"] == 1).all()
    assert all(clips["small"].iloc[np.concatenate([f.train, f.valid, f.test])].all() for f in folds(task, clips, 0))


def test_a_class_without_a_clip_is_one_sentence():
    with pytest.raises(DataError, match="1 of 4 classes have no clip, 'd'"):
        labels(TASK, Toy(), table(classes_=3))


class ToyStandin(Toy):
    standin_classes: ClassVar[dict[str, tuple[str, ...]]] = {"label": ("b", "a")}


class ToyScale(Toy):
    sparse_labels: ClassVar[frozenset[str]] = frozenset({"label"})


def test_a_standin_may_hold_the_classes_that_its_dataset_states():
    clips = table(classes_=2)
    assert classes(TASK, ToyStandin(), clips, standin=True) == ("b", "a")
    assert set(labels(TASK, ToyStandin(), clips, standin=True)) == {0, 1}
    with pytest.raises(DataError, match="2 of 4 classes have no clip, 'd'"):
        classes(TASK, ToyStandin(), clips, standin=False)
    with pytest.raises(DataError, match="1 of 4 classes have no clip, 'b'"):
        classes(TASK, ToyStandin(), table(classes_=1), standin=True)
    with pytest.raises(DataError, match="2 of 4 classes have no clip"):
        classes(TASK, Toy(), clips, standin=True)


def test_a_scale_need_not_have_every_step():
    assert classes(TASK, ToyScale(), table(classes_=3)) == ("c", "b", "a")
    assert missing_classes(TASK, ToyScale(), {"a"}, standin=False) == []


def test_a_subset_without_clips_is_one_sentence():
    task = Task(id="toy", title="Toy", dataset="toy", label="label", fold_column="fold", only="small")
    with pytest.raises(DataError, match="no clips"):
        folds(task, table().assign(small=False), 0)


def test_subsets_are_nested_seeded_and_balanced():
    clips = table(groups=8)
    numbers = labels(TASK, Toy(), clips)
    train = folds(TASK, clips, 0)[0].train
    subsets = [nested_subsets(numbers, train, size, seed=3) for size in (1, 5, 10, 20)]
    for size, subset in zip((1, 5, 10, 20), subsets, strict=True):
        assert np.bincount(numbers[subset]).tolist() == [size] * 4
        assert set(subset) <= set(train)
        assert (np.diff(subset) > 0).all()
    assert set(subsets[0]) < set(subsets[1]) < set(subsets[2]) < set(subsets[3])
    np.testing.assert_array_equal(subsets[1], nested_subsets(numbers, train[::-1], 5, seed=3))
    assert (subsets[1] != nested_subsets(numbers, train, 5, seed=4)).any()


def test_a_subset_larger_than_a_class_is_one_sentence():
    clips = table()
    numbers = labels(TASK, Toy(), clips)
    with pytest.raises(DataError, match="training clips, not 1000"):
        nested_subsets(numbers, folds(TASK, clips, 0)[0].train, 1000, 0)


def test_a_short_class_may_be_given_whole():
    numbers = np.array([0] * 3 + [1] * 9)
    rows = np.arange(12)
    subset = nested_subsets(numbers, rows, 5, 3, "whole")
    assert np.bincount(numbers[subset]).tolist() == [3, 5]
    assert set(nested_subsets(numbers, rows, 2, 3)) < set(subset)
    np.testing.assert_array_equal(nested_subsets(numbers, rows, 1000, 3, "whole"), rows)


def test_a_short_tag_may_be_given_whole():
    matrix = np.array([[1, 0]] * 2 + [[0, 1]] * 6 + [[1, 1]])
    subset = nested_subsets(matrix, np.arange(9), 5, 3, "whole")
    assert matrix[subset].sum(axis=0).tolist() == [3, 5]


def test_subsets_in_total_are_nested_seeded_and_ignore_classes():
    rows = np.arange(100, 400)
    subsets = [random_subset(rows, count, seed=3) for count in (1, 10, 100, 300)]
    assert [len(subset) for subset in subsets] == [1, 10, 100, 300]
    assert set(subsets[0]) < set(subsets[1]) < set(subsets[2]) < set(subsets[3]) == set(rows)
    np.testing.assert_array_equal(subsets[1], random_subset(rows[::-1], 10, seed=3))
    assert (subsets[1] != random_subset(rows, 10, seed=4)).any()
    with pytest.raises(DataError, match="There are 300 training clips, not 301"):
        random_subset(rows, 301, seed=3)
    np.testing.assert_array_equal(random_subset(rows, 301, 3, "whole"), rows)


def test_forbidden_rows_are_those_whose_group_is_evaluated():
    source = pd.DataFrame({"group": ["freesound:1", "freesound:2", "freesound:3", "freesound:2"]})
    evaluated = [pd.DataFrame({"group": ["freesound:2"]}), pd.DataFrame({"group": ["fsdd:3", "freesound:9"]})]
    assert forbidden_rows(source, evaluated).tolist() == [False, True, False, True]
    assert forbidden_rows(source, [source]).all()
    assert not forbidden_rows(source, []).any()


TAGS = Task(id="toy", title="Toy", dataset="toy", label="tags", fold_column="fold", kind="multi", metric="map")


def tagged(seed: int = 0) -> pd.DataFrame:
    """Clips of sources of two, each of any number of tags; tag ``e`` of one source, ``f`` of none."""
    generator = np.random.default_rng(seed)
    chances = [0.5, 0.3, 0.2, 0.1]
    rows = []
    for source in range(120):
        tags = [name for name, chance in zip("abcd", chances, strict=True) if generator.random() < chance]
        tags += ["e"] if source == 7 else []
        rows += [{"fold": str(source % 3 + 1), "group": f"g{source}", "tags": "|".join(tags)}] * 2
    return pd.DataFrame(rows).assign(clip_id=[f"clip{n}" for n in range(240)])


class Tagged(Tones):
    multi_labels: ClassVar[dict[str, tuple[str, ...]]] = {"tags": ("f", "e", "d", "c", "b", "a")}


def test_several_labels_become_a_matrix_in_the_official_order():
    clips = tagged()
    part = Task(**{**vars(TAGS), "only": "chosen"})
    clips["chosen"] = np.arange(240) < 200
    names, matrix = classes(part, Tagged(), clips), labels(part, Tagged(), clips)
    assert names == ("e", "d", "c", "b", "a")
    assert (matrix.shape, matrix.dtype) == ((240, 5), np.uint8)
    for row, cell in zip(matrix[:200], clips["tags"], strict=False):
        assert {name for name, has in zip(names, row, strict=True) if has} == set(filter(None, cell.split("|")))
    assert not matrix[200:].any()
    assert labels(TAGS, Tagged(), clips).shape == (240, 5)  # the sixth class has no clip


def test_validation_of_several_labels_takes_a_fifth_of_each_and_never_the_last_source():
    clips = tagged()
    for fold in folds(TAGS, clips, 0):
        parts = [clips.iloc[rows] for rows in (fold.train, fold.valid, fold.test)]
        assert not set(parts[0]["group"]) & set(parts[1]["group"])
        assert not (set(parts[0]["group"]) | set(parts[1]["group"])) & set(parts[2]["group"])
        for tag in "abc":
            train, valid = (part["tags"].str.contains(tag).sum() for part in parts[:2])
            assert valid / (train + valid) == pytest.approx(0.2, abs=0.08)
        assert not parts[1]["tags"].str.contains("e").any()


def test_subsets_of_several_labels_are_nested_and_hold_enough_of_each():
    clips = tagged()
    clips = clips[~clips["tags"].str.contains("e")].reset_index(drop=True)
    matrix = labels(Task(**{**vars(TAGS), "only": "all"}), Tagged(), clips.assign(all=True))
    rows = folds(TAGS, clips, 0)[0].train
    subsets = [nested_subsets(matrix, rows, size, seed=3) for size in (1, 2, 5, 8)]
    for size, subset in zip((1, 2, 5, 8), subsets, strict=True):
        assert (matrix[subset].sum(axis=0) >= size).all()
        assert set(subset) <= set(rows)
        assert len(subset) <= size * matrix.shape[1]
    assert set(subsets[0]) < set(subsets[1]) < set(subsets[2]) < set(subsets[3])
    np.testing.assert_array_equal(subsets[2], nested_subsets(matrix, rows[::-1], 5, seed=3))
    with pytest.raises(DataError, match="training clips, not 1000"):
        nested_subsets(matrix, rows, 1000, 0)


def test_clips_identical_to_evaluated_ones_are_forbidden():
    source = pd.DataFrame({"group": ["a", "b", "c"], "checksum": ["1", "2", "3"]})
    evaluated = pd.DataFrame({"group": ["c", "d"], "checksum": ["9", "1"]})
    assert forbidden_rows(source, [evaluated]).tolist() == [True, False, True]
    without = evaluated.drop(columns="checksum")
    assert forbidden_rows(source, [without]).tolist() == [False, False, True]
    assert forbidden_rows(source.drop(columns="checksum"), [evaluated]).tolist() == [False, False, True]


def test_training_clips_identical_to_a_test_clip_are_left_out():
    clips = table().assign(checksum=lambda t: t["clip_id"])
    tested, trained = (np.flatnonzero(clips["fold"] == fold)[0] for fold in ("1", "2"))
    clips.loc[trained, "checksum"] = clips.loc[tested, "checksum"]
    first, second, third = folds(TASK, clips, 0)[:3]
    assert (first.dropped.tolist(), second.dropped.tolist()) == ([trained], [tested])
    assert third.dropped.size <= 1  # the twins may lie on both sides of validation


def test_sets_of_one_class_and_of_several_are_divided_alike():
    """A single-label task, read as a multi-label one of one tag a clip, has the same validation part."""
    clips = table(groups=7).assign(tags=lambda t: t["label"])
    for one, several in zip(folds(TASK, clips, 0), folds(TAGS, clips, 0), strict=True):
        np.testing.assert_array_equal(one.valid, several.valid)
