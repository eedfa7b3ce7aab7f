from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import correlate1d
from torch import Tensor

from benchmark.signal import augment
from benchmark.signal.augment import mix_back, random_boxes, resize_boxes
from benchmark.signal.frontend import FONSECA2021, TAGLIASACCHI2020, LogMel, LogMelConfig

CONFIGS = [TAGLIASACCHI2020, FONSECA2021]
IDS = ["tagliasacchi2020", "fonseca2021"]


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def views(frontend: LogMel, clips: int, count: int = 2, samples: int = 4_000) -> Tensor:
    """Log-mels of noises whose levels differ by up to 60 dB."""
    level = 10.0 ** (-3.0 * torch.rand(clips, count, 1, generator=stream(1)))
    return frontend(0.1 * level * torch.randn(clips, count, samples, generator=stream(2)))


def energy(frontend: LogMel, patches: Tensor) -> Tensor:
    return frontend.power(patches.double()).sum(dim=(-2, -1))


# mix-back


@pytest.mark.parametrize("config", CONFIGS, ids=IDS)
def test_mix_back_keeps_the_energy_of_every_view(config: LogMelConfig) -> None:
    frontend = LogMel(config)
    patches = views(frontend, 16)
    mixed = mix_back(patches, frontend, 0.5, stream())
    torch.testing.assert_close(energy(frontend, mixed.patches), energy(frontend, patches), rtol=1e-4, atol=0)
    assert ((mixed.patches - patches).abs().amax(dim=(-2, -1)) > 0.01).all()


@pytest.mark.parametrize("config", CONFIGS, ids=IDS)
@pytest.mark.parametrize("adjust", [True, False])
def test_mix_back_equals_equation_1_item_by_item(config: LogMelConfig, adjust: bool) -> None:
    frontend = LogMel(config)
    patches = views(frontend, 7, 3)
    mixed = mix_back(patches, frontend, 0.3, stream(), adjust_energy=adjust)
    exponent = 10.0 if config.log == "log10" else math.e**2  # fonseca: log10 of power; tagliasacchi: ln of magnitude
    power = exponent ** patches.double().numpy()
    for clip in range(7):
        for view in range(3):
            foreground, weight = power[clip, view], float(mixed.strength[clip])
            background = power[mixed.backgrounds[clip, view], view]
            ratio = foreground.sum() / background.sum() if adjust else 1.0
            out = (1 - weight) * foreground + weight * ratio * background
            expected = np.log(out) / math.log(exponent)
            np.testing.assert_allclose(mixed.patches[clip, view].numpy(), expected, atol=1e-4)


def test_backgrounds_are_other_clips_different_for_each_view_and_uniform() -> None:
    frontend = LogMel(TAGLIASACCHI2020)
    patches = views(frontend, 6, 2, 560)
    counts = torch.zeros(2, 6, 6)
    generator = stream()
    for _ in range(400):
        chosen = mix_back(patches, frontend, 0.1, generator).backgrounds
        assert (chosen != torch.arange(6)[:, None]).all()
        assert (chosen[:, 0] != chosen[:, 1]).all()
        for view in range(2):
            counts[view, torch.arange(6), chosen[:, view]] += 1
    others = counts[:, ~torch.eye(6, dtype=torch.bool)]
    assert (others - 80).abs().max() < 5 * math.sqrt(400 * 0.2 * 0.8)


def test_strength_is_uniform_and_shared_by_the_views_of_a_clip() -> None:
    frontend = LogMel(FONSECA2021)
    patches = torch.randn(1_500, 2, 3, 2, generator=stream(1))
    mixed = mix_back(patches, frontend, 0.05, stream())
    assert mixed.strength.shape == (1_500,)
    assert 0.0 <= mixed.strength.min() < 3e-4
    assert 0.0497 < mixed.strength.max() <= 0.05
    assert mixed.strength.mean() == pytest.approx(0.025, abs=4 * 0.05 / math.sqrt(12 * 1_500))


def test_silent_backgrounds_are_drawn_again_and_counted() -> None:
    frontend = LogMel(TAGLIASACCHI2020)
    patches = views(frontend, 10)
    patches[3:9, 0] = frontend.silence
    mixed = mix_back(patches, frontend, 0.1, stream())
    assert set(mixed.backgrounds[:, 0].tolist()) <= {0, 1, 2, 9}
    assert set(mixed.backgrounds[:, 1].tolist()) & {3, 4, 5, 6, 7, 8}, "only their first view is silent"
    assert 0 < mixed.redrawn <= 10
    assert mixed.unmixed == 0
    assert mix_back(views(frontend, 10), frontend, 0.1, stream()).redrawn == 0


def test_redrawing_leaves_the_other_draws_alone() -> None:
    frontend = LogMel(TAGLIASACCHI2020)
    loud = views(frontend, 12)
    silent = loud.clone()
    silent[5, 0] = frontend.silence
    before, after = (mix_back(patches, frontend, 0.1, stream()).backgrounds[:, 0] for patches in (loud, silent))
    assert (before[before != 5] == after[before != 5]).all()


@pytest.mark.parametrize(("clips", "unmixed"), [(1, 2), (2, 2), (3, 0)])
def test_views_without_a_background_stay_as_they_are_and_are_counted(clips: int, unmixed: int) -> None:
    frontend = LogMel(TAGLIASACCHI2020)
    patches = views(frontend, clips)
    mixed = mix_back(patches, frontend, 0.5, stream())
    assert mixed.unmixed == unmixed
    alone = mixed.backgrounds < 0
    torch.testing.assert_close(mixed.patches[alone], patches[alone], rtol=0, atol=1e-5)


def test_a_batch_of_silence_stays_silent() -> None:
    frontend = LogMel(FONSECA2021)
    patches = torch.full((4, 2, 96, 11), frontend.silence)
    mixed = mix_back(patches, frontend, 0.5, stream())
    assert mixed.unmixed == 8
    torch.testing.assert_close(mixed.patches, patches, rtol=0, atol=1e-5)


# Random resized crop


def test_resize_equals_pillows_bilinear_resize_of_the_crop() -> None:
    patches = torch.randn(64, 64, 96, generator=stream(5))
    boxes = random_boxes(64, 64, 96, stream(), area=(0.1, 1.0))
    ours = resize_boxes(patches, boxes).numpy()
    for item, patch in enumerate(patches.numpy()):
        top, left, height, width = (int(x[item]) for x in (boxes.top, boxes.left, boxes.height, boxes.width))
        crop = Image.fromarray(patch[top : top + height, left : left + width])
        expected = np.asarray(crop.resize((96, 64), Image.Resampling.BILINEAR))
        np.testing.assert_allclose(ours[item], expected, atol=1e-4)


def test_resizing_the_whole_patch_changes_nothing() -> None:
    patches = torch.randn(3, 64, 96, generator=stream())
    whole = random_boxes(3, 64, 96, stream(), area=(1.0, 1.0), aspect=(64 / 96, 64 / 96))
    assert (whole.height == 64).all()
    assert (whole.width == 96).all()
    torch.testing.assert_close(resize_boxes(patches, whole), patches, rtol=0, atol=1e-4)


def scalar_box(rng: np.random.Generator, bands: int, frames: int) -> tuple[int, int, int, int]:
    """One crop as the released code draws it: ten tries, else the whole patch."""
    for _ in range(10):
        target = rng.uniform(0.8, 1.0) * bands * frames
        ratio = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
        height, width = round(math.sqrt(target * ratio)), round(math.sqrt(target / ratio))
        if height <= bands and width <= frames:
            top, left = rng.integers(0, bands - height + 1), rng.integers(0, frames - width + 1)
            return int(top), int(left), height, width
    return 0, 0, bands, frames


def test_boxes_are_distributed_as_ten_tries_of_one_item() -> None:
    bands, frames, n = 96, 101, 20_000
    rng = np.random.default_rng(0)
    oracle = np.array([scalar_box(rng, bands, frames) for _ in range(n)], dtype=float)
    boxes = random_boxes(n, bands, frames, stream())
    ours = torch.stack([boxes.top, boxes.left, boxes.height, boxes.width], dim=1).double().numpy()
    error = 5 * np.sqrt((ours.var(axis=0) + oracle.var(axis=0)) / n)
    assert (np.abs(ours.mean(axis=0) - oracle.mean(axis=0)) < error).all()
    np.testing.assert_allclose(ours.std(axis=0), oracle.std(axis=0), rtol=0.05)


def test_boxes_of_the_published_setting_match_the_known_figures() -> None:
    """For 96 x 101 bins: 0.5 % fall back to the whole, which others draw; mean crop 90 x 94, smallest 76 and 80."""
    boxes = random_boxes(100_000, 96, 101, stream())
    whole = (boxes.height == 96) & (boxes.width == 101)
    assert 0.005 < whole.double().mean() < 0.009
    assert boxes.height.double().mean() == pytest.approx(90, abs=0.5)
    assert boxes.width.double().mean() == pytest.approx(94, abs=0.5)
    assert abs(int(boxes.height.min()) - 76) <= 1
    assert abs(int(boxes.width.min()) - 80) <= 1
    assert (boxes.top >= 0).all()
    assert (boxes.left >= 0).all()
    assert (boxes.top + boxes.height <= 96).all()
    assert (boxes.left + boxes.width <= 101).all()


def test_boxes_fit_a_long_patch_when_the_aspects_are_relative_to_its_own() -> None:
    def whole(aspect: tuple[float, float]) -> float:
        boxes = random_boxes(10_000, 64, 96, stream(), aspect=aspect)
        return float(((boxes.height == 64) & (boxes.width == 96)).double().mean())

    assert whole((3 / 4, 4 / 3)) == pytest.approx(0.58, abs=0.03)
    assert whole((3 / 4 * 64 / 96, 4 / 3 * 64 / 96)) < 0.02


def test_resized_crop_keeps_the_range_and_differs_between_views() -> None:
    patches = torch.randn(1, 64, 96, generator=stream()).expand(5, 2, -1, -1)
    out = augment.random_resized_crop(patches, stream(1))
    assert out.shape == patches.shape
    assert out.min() >= patches.min()
    assert out.max() <= patches.max()
    assert not torch.equal(out[0, 0], out[0, 1])


# Level, noise, masks, shift


def test_compression_scales_each_patch_by_one_uniform_factor() -> None:
    patches = torch.rand(3_000, 2, 2, 3, generator=stream()) + 1.0
    factor = augment.random_compression(patches, stream(1)) / patches
    torch.testing.assert_close(factor, factor[..., :1, :1].expand_as(factor))
    each = factor[..., 0, 0]
    assert 0.75 <= each.min() < 0.751
    assert 0.999 < each.max() <= 1.0001
    assert each.mean() == pytest.approx(0.875, abs=4 * 0.25 / math.sqrt(12 * each.numel()))
    assert abs(np.corrcoef(each.T.numpy())[0, 1]) < 0.1, "views are drawn independently"


def test_noise_has_no_mean_and_a_deviation_uniform_up_to_sigma() -> None:
    added = augment.random_noise(torch.zeros(400, 2, 40, 50), stream(), sigma=0.01)
    deviation = added.std(dim=(-2, -1))
    assert added.mean().abs() < 1e-5
    assert deviation.max() <= 0.0105
    assert deviation.mean() == pytest.approx(0.005, abs=0.0006)
    assert deviation.std() == pytest.approx(0.01 / math.sqrt(12), rel=0.1)


def test_gain_is_uniform_in_decibels() -> None:
    level = 20.0 * augment.random_gain(torch.ones(3_000, 2, 4), stream(), decibels=6.0).log10()
    torch.testing.assert_close(level, level[..., :1].expand_as(level))
    assert -6.001 <= level.min() < -5.98
    assert 5.98 < level.max() <= 6.001
    assert level.mean().abs() < 4 * 12 / math.sqrt(12 * 6_000)


def test_gain_and_energy_adjusted_mix_back_commute() -> None:
    frontend = LogMel(TAGLIASACCHI2020)
    x = 0.1 * torch.randn(6, 2, 4_000, generator=stream())
    gains = augment.random_gain(torch.ones(6, 2, 1), stream(3), decibels=6.0)
    before = mix_back(frontend(x * gains), frontend, 0.1, stream(4)).patches
    after = mix_back(frontend(x), frontend, 0.1, stream(4)).patches + gains[..., None].log()
    torch.testing.assert_close(before, after, rtol=0, atol=1e-3)


def test_masks_are_whole_stripes_at_the_minimum_of_the_published_widths() -> None:
    patches = torch.rand(500, 64, 96, generator=stream()) + 1.0
    out = augment.random_masks(patches, stream(1), masks=1)
    hit = out != patches
    assert torch.equal(out[~hit], patches[~hit])
    minimum = patches.amin(dim=(-2, -1), keepdim=True).expand_as(out)
    assert torch.equal(out[hit], minimum[hit])
    at_floor = out == minimum
    band_rows, frame_columns = at_floor.all(dim=-1), at_floor.all(dim=-2)
    stripes = band_rows[:, :, None] | frame_columns[:, None, :]
    assert (hit <= stripes).all()
    for stripe in (band_rows, frame_columns):
        width = stripe.sum(dim=-1)
        assert width.max() == 19
        assert width.min() == 0
        assert width.double().mean() == pytest.approx(9.5, abs=4 * 6 / math.sqrt(500))
        edges = stripe.int().diff(dim=-1).abs().sum(dim=-1)
        assert edges.max() <= 2, "one stripe is one interval"


def test_time_shift_rotates_by_every_allowed_integer() -> None:
    patches = torch.arange(10.0).expand(600, 2, 3, 10)
    out = augment.random_time_shift(patches, stream(), max_frames=3)
    shift = (-out[..., 0, 0].long() + 5) % 10 - 5
    assert set(shift.flatten().tolist()) == set(range(-3, 4))
    counts = torch.bincount(shift.flatten() + 3).double()
    assert (counts - 1_200 / 7).abs().max() < 5 * math.sqrt(1_200 / 7)
    for item in range(20):
        expected = torch.roll(patches[item, 0], int(shift[item, 0]), dims=-1)
        assert torch.equal(out[item, 0], expected)


def test_frequency_shift_moves_up_by_every_allowed_number_of_bands_and_keeps_all_values() -> None:
    patches = torch.arange(12.0)[:, None].expand(600, 2, 12, 3).contiguous()
    out = augment.random_frequency_shift(patches, stream(), max_bands=4)
    shift = -out[..., 0, 0].long() % 12
    counts = torch.bincount(shift.flatten(), minlength=6).double()
    assert counts[[0, 5]].sum() == 0
    assert (counts[1:5] - 300).abs().max() < 5 * math.sqrt(300)
    for item in range(20):
        assert torch.equal(out[item, 0], torch.roll(patches[item, 0], int(shift[item, 0]), dims=-2))


def test_time_reversal_turns_half_of_the_patches_round() -> None:
    patches = torch.rand(600, 2, 3, 10, generator=stream(1))
    out = augment.random_time_reversal(patches, stream())
    turned = (out == patches.flip(-1)).all(dim=(-2, -1))
    assert ((out == patches).all(dim=(-2, -1)) ^ turned).all()
    assert int(turned.sum()) == pytest.approx(600, abs=5 * math.sqrt(300))
    assert abs(np.corrcoef(turned.double().T.numpy())[0, 1]) < 0.2, "views are drawn independently"


def test_blur_is_scipys_correlation_with_a_gaussian_of_an_odd_size_of_either_axis() -> None:
    patches = torch.rand(400, 9, 11, generator=stream(1), dtype=torch.float64)
    out = augment.random_blur(patches, stream(), max_size=5, sigma=1.5).numpy()

    def blurred(patch: np.ndarray, bands: int, frames: int) -> np.ndarray:
        for axis, size in ((0, bands), (1, frames)):
            weights = np.exp(-0.5 * ((np.arange(size) - size // 2) / 1.5) ** 2)
            patch = correlate1d(patch, weights / weights.sum(), axis=axis, mode="mirror")
        return patch

    sizes = list(itertools.product((1, 3, 5), repeat=2))
    found = np.zeros(len(sizes))
    for patch, result in zip(patches.numpy(), out, strict=True):
        distances = [np.abs(blurred(patch, *size) - result).max() for size in sizes]
        assert min(distances) < 1e-6
        found[int(np.argmin(distances))] += 1
    assert np.abs(found - 400 / 9).max() < 5 * math.sqrt(400 / 9)


def test_blur_keeps_a_flat_patch_and_the_mean_of_a_constant_band() -> None:
    flat = torch.full((8, 2, 6, 7), -3.25)
    torch.testing.assert_close(augment.random_blur(flat, stream()), flat)


AUGMENTATIONS: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "mix_back": lambda x, g: mix_back(x, LogMel(TAGLIASACCHI2020), 0.2, g).patches,
    "random_resized_crop": lambda x, g: augment.random_resized_crop(x, g, aspect=(2.0, 4.0)),
    "random_compression": augment.random_compression,
    "random_noise": augment.random_noise,
    "random_gain": lambda x, g: augment.random_gain(x, g, decibels=6.0),
    "random_masks": augment.random_masks,
    "random_frequency_shift": lambda x, g: augment.random_frequency_shift(x, g, max_bands=4),
    "random_time_reversal": augment.random_time_reversal,
    "random_blur": augment.random_blur,
    "random_time_shift": lambda x, g: augment.random_time_shift(x, g, max_frames=4),
}


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_all_randomness_comes_from_the_given_generator(name: str) -> None:
    apply = AUGMENTATIONS[name]
    patches = views(LogMel(TAGLIASACCHI2020), 5)
    before, untouched = torch.random.get_rng_state(), patches.clone()
    first, again, other = apply(patches, stream(7)), apply(patches, stream(7)), apply(patches, stream(8))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(patches, untouched)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.shape == patches.shape
    assert first.dtype == torch.float32
