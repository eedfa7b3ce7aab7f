"""Whole-batch augmentations: pure functions of a batch and a generator on its device, with no loop over items.

Every function draws independently for each item of the leading axes, so that the views of a clip, ``(B, V, F, N)``, are
augmented independently; :func:`mix_back` alone says otherwise. Of several ranks each draws for the batch of all and takes
the part of its own clips, so the draws do not depend on how many share a batch. Sources: fonseca2021 (§2 and its released
code).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from benchmark.distributed import gather, share, world_size
from benchmark.signal.frontend import LogMel

SILENT = 2.0
"""A background is silent where its mean power is at most so many times that of digital silence."""


def _uniform(shape: tuple[int, ...], low: float, high: float, generator: torch.Generator) -> Tensor:
    return share(torch.rand(_of_all_ranks(shape), generator=generator, device=generator.device)) * (high - low) + low


def _of_all_ranks(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a rank's share, clips first, as that of the whole batch."""
    return (shape[0] * world_size(), *shape[1:]) if shape else shape


def _integers(below: Tensor, generator: torch.Generator) -> Tensor:
    """Uniform integers in ``[0, below)``, one for each element of an integer tensor of positive bounds."""
    draw = torch.rand(_of_all_ranks(below.shape), generator=generator, device=below.device, dtype=torch.float64)
    return (share(draw) * below).long().clamp_max(below - 1)


@dataclass(frozen=True)
class Mixed:
    """What :func:`mix_back` gives back."""

    patches: Tensor
    """``(B, V, F, N)`` log-mels."""
    strength: Tensor
    """``(B,)`` the mixing weight lambda of each clip."""
    backgrounds: Tensor
    """``(B, V)`` int64: the clip of the batch (of all ranks) that each view was mixed with; -1 where there was none."""
    redrawn: Tensor
    """Scalar int64: backgrounds of the whole batch drawn first that were silent and hence drawn again."""
    unmixed: Tensor
    """Scalar int64: views of the whole batch left as they were, because no other clip of the batch was left to mix with."""


def mix_back(
    patches: Tensor, frontend: LogMel, alpha: float, generator: torch.Generator, *, adjust_energy: bool = True
) -> Mixed:
    """Mix each view with the same-numbered view of another clip of the batch (fonseca2021 §2, equation 1).

    In linear mel power, ``out = (1 - lambda) x + lambda (E(x) / E(b)) b`` with E the sum over bins, so that
    E(out) = E(x); lambda ~ U(0, alpha) is shared by the views of a clip (released code), and their backgrounds are
    different clips. Without ``adjust_energy`` the ratio of energies is 1.

    A silent background would add a flat spectrum at the level of the foreground, so it is drawn again, in an order
    that is itself part of the draw. The paper takes any patch of any other training clip; here, one of the batch.

    Args:
        patches: ``(B, V, F, N)`` log-mels of ``frontend``, not standardised.
        frontend: gives the linear power of a log-mel and back.
        alpha: upper end of lambda (published: 0.05; without energy adjustment 0.02).
        generator: on the patches' device.
        adjust_energy: keep the energy of each view.
    """
    power = frontend.power(patches)
    energy = power.sum(dim=(-2, -1))
    floor = frontend.power(patches.new_tensor(frontend.silence)) * patches.shape[-2:].numel()
    strength = _uniform((len(patches),), 0.0, alpha, generator)
    drawn, redrawn = _draw_backgrounds(gather(energy) <= SILENT * floor, generator)
    backgrounds = share(drawn)
    mixed = backgrounds >= 0

    view = torch.arange(patches.shape[1], device=patches.device)
    background = gather(power)[backgrounds.clamp_min(0), view]
    if adjust_energy:
        background = background * (energy / background.sum(dim=(-2, -1)))[..., None, None]
    weight = (strength[:, None] * mixed)[..., None, None]
    out = frontend.from_power((1.0 - weight) * power + weight * background)
    return Mixed(out, strength, backgrounds, redrawn, (drawn < 0).sum())


def _draw_backgrounds(silent: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """For each clip and view another clip, uniformly: never itself, one of its other views' or a silent one.

    The clips are those of all ranks. Each row of random keys orders them all; the first admissible one is taken, as if
    drawn again until admissible.

    Args:
        silent: ``(B, V)`` bool, by clip and view.
        generator: on the same device.

    Returns:
        ``(B, V)`` int64 clips, -1 where none is admissible; and how many first draws were silent.
    """
    clips, views = silent.shape
    taken = torch.eye(clips, dtype=torch.bool, device=silent.device)
    chosen, redrawn = [], torch.zeros((), dtype=torch.int64, device=silent.device)
    for view in range(views):
        keys = torch.rand((clips, clips), generator=generator, device=silent.device).masked_fill(taken, math.inf)
        first = silent[keys.argmin(dim=1), view] & ~taken.all(dim=1)
        keys = keys.masked_fill(silent[:, view], math.inf)
        choice = keys.argmin(dim=1)
        found = ~keys.isinf().all(dim=1)
        taken = taken.scatter(1, choice[:, None], taken.gather(1, choice[:, None]) | found[:, None])
        chosen.append(choice.where(found, -1))
        redrawn = redrawn + first.sum()
    return torch.stack(chosen, dim=1), redrawn


@dataclass(frozen=True)
class Boxes:
    """Crops of a batch of patches, ``(M,)`` int64 each: rows are mel bands, columns are frames."""

    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor


def random_boxes(
    items: int,
    bands: int,
    frames: int,
    generator: torch.Generator,
    *,
    area: tuple[float, float] = (0.8, 1.0),
    aspect: tuple[float, float] = (3 / 4, 4 / 3),
    tries: int = 10,
) -> Boxes:
    """Crops for :func:`random_resized_crop`: area scale uniform, aspect (bands over frames) log-uniform.

    The first of ``tries`` draws that fits the patch is taken, else the whole patch; the position is uniform. The
    published aspects suit a nearly square patch and rarely fit others (64 x 96 bins stay whole 58 % of the time):
    there, multiply them by ``bands / frames``.
    """
    target = _uniform((items, tries), area[0], area[1], generator) * bands * frames
    ratio = _uniform((items, tries), math.log(aspect[0]), math.log(aspect[1]), generator).exp()
    heights = (target * ratio).sqrt().round().long()
    widths = (target / ratio).sqrt().round().long()
    fits = (heights >= 1) & (heights <= bands) & (widths >= 1) & (widths <= frames)
    first = fits.byte().argmax(dim=1, keepdim=True)
    found = fits.any(dim=1)
    height = heights.gather(1, first)[:, 0].where(found, bands)
    width = widths.gather(1, first)[:, 0].where(found, frames)
    top = _integers(bands - height + 1, generator)
    left = _integers(frames - width + 1, generator)
    return Boxes(top, left, height, width)


def resize_boxes(patches: Tensor, boxes: Boxes) -> Tensor:
    """Each crop of ``(M, F, N)`` patches, stretched bilinearly to ``(F, N)``; a crop's edges repeat outwards."""
    bands, frames = patches.shape[-2:]
    rows = _source_positions(boxes.top, boxes.height, bands)[:, :, None].expand(-1, -1, frames)
    columns = _source_positions(boxes.left, boxes.width, frames)[:, None, :].expand(-1, bands, -1)
    grid = torch.stack([columns, rows], dim=-1)
    return functional.grid_sample(patches[:, None], grid, padding_mode="border", align_corners=False)[:, 0]


def _source_positions(start: Tensor, length: Tensor, size: int) -> Tensor:
    """``(M, size)``: where output pixels lie in a crop, clamped to it, in ``grid_sample``'s [-1, 1] coordinates."""
    centres = torch.arange(size, device=start.device) + 0.5
    within = (centres * length[:, None] / size - 0.5).clamp_min(0.0)
    pixel = start[:, None] + torch.minimum(within, length[:, None] - 1.0)
    return (2.0 * pixel + 1.0) / size - 1.0


def random_resized_crop(
    patches: Tensor,
    generator: torch.Generator,
    *,
    area: tuple[float, float] = (0.8, 1.0),
    aspect: tuple[float, float] = (3 / 4, 4 / 3),
) -> Tensor:
    """Stretch a random crop of each ``(..., F, N)`` patch to its full size (fonseca2021 §2, released code)."""
    bands, frames = patches.shape[-2:]
    flat = patches.reshape(-1, bands, frames)
    boxes = random_boxes(len(flat), bands, frames, generator, area=area, aspect=aspect)
    return resize_boxes(flat, boxes).reshape(patches.shape)


def random_compression(patches: Tensor, generator: torch.Generator, *, low: float = 0.75, high: float = 1.0) -> Tensor:
    """Multiply each log-mel patch ``(..., F, N)`` by U(low, high) (fonseca2021, released code)."""
    return patches * _uniform((*patches.shape[:-2], 1, 1), low, high, generator)


def random_noise(patches: Tensor, generator: torch.Generator, *, sigma: float = 0.01) -> Tensor:
    """Add N(0, s^2), s ~ U(0, sigma), to every bin of each log-mel ``(..., F, N)`` (fonseca2021, released code)."""
    deviation = _uniform((*patches.shape[:-2], 1, 1), 0.0, sigma, generator)
    noise = torch.randn(_of_all_ranks(patches.shape), generator=generator, device=patches.device)
    return patches + deviation * share(noise)


def random_gain(waveforms: Tensor, generator: torch.Generator, *, decibels: float) -> Tensor:
    """Scale each waveform ``(..., T)`` by U(-decibels, decibels) dB.

    On waveforms rather than log-mels, so that the front-end's floor stays where it is. It commutes with energy-adjusted
    :func:`mix_back`, and a front-end that normalises its waveforms undoes it.
    """
    level = _uniform((*waveforms.shape[:-1], 1), -decibels, decibels, generator)
    return waveforms * torch.pow(10.0, level / 20.0)


def random_masks(
    patches: Tensor, generator: torch.Generator, *, masks: int = 2, max_bands: int = 20, max_frames: int = 20
) -> Tensor:
    """SpecAugment without warping: stripes of bands and of frames of each ``(..., F, N)`` patch become its minimum.

    There are ``masks`` stripes of either kind, ``int(U(0, max))`` wide (fonseca2021, released code), uniformly placed.
    """
    bands, frames = patches.shape[-2:]
    lead = patches.shape[:-2]
    masked_bands = _spans(lead, masks, bands, max_bands, generator)
    masked_frames = _spans(lead, masks, frames, max_frames, generator)
    minimum = patches.amin(dim=(-2, -1), keepdim=True)
    return torch.where(masked_bands[..., :, None] | masked_frames[..., None, :], minimum, patches)


def _spans(lead: torch.Size, spans: int, size: int, max_width: int, generator: torch.Generator) -> Tensor:
    """``(*lead, size)`` bool: the union of ``spans`` random intervals narrower than ``max_width``."""
    bound = torch.full((*lead, spans, 1), min(max_width, size), device=generator.device)
    width = _integers(bound, generator)
    start = _integers(size - width, generator)
    position = torch.arange(size, device=generator.device)
    return ((position >= start) & (position < start + width)).any(dim=-2)


def random_time_shift(patches: Tensor, generator: torch.Generator, *, max_frames: int) -> Tensor:
    """Rotate each ``(..., F, N)`` patch in time by an integer in [-max_frames, max_frames], uniformly."""
    bound = torch.full(patches.shape[:-2], 2 * max_frames + 1, device=patches.device)
    return _rotated(patches, _integers(bound, generator) - max_frames)


def random_frequency_shift(patches: Tensor, generator: torch.Generator, *, max_bands: int) -> Tensor:
    """Move each ``(..., F, N)`` patch up by 1 to ``max_bands`` bands, uniformly (fonseca2021, released code).

    The bands pushed out at the top enter at the bottom, so that a patch keeps all its values.
    """
    bound = torch.full(patches.shape[:-2], max_bands, device=patches.device)
    shift = 1 + _integers(bound, generator)
    return _rotated(patches.transpose(-1, -2), shift).transpose(-1, -2)


def _rotated(patches: Tensor, shift: Tensor) -> Tensor:
    """``(..., A, N)`` patches rotated along their last axis by ``shift (...)`` places."""
    size = patches.shape[-1]
    source = (torch.arange(size, device=patches.device) - shift[..., None]) % size
    return patches.gather(-1, source[..., None, :].expand(patches.shape))


def random_time_reversal(patches: Tensor, generator: torch.Generator, *, probability: float = 0.5) -> Tensor:
    """Turn each ``(..., F, N)`` patch round in time with the given probability."""
    turned = _uniform((*patches.shape[:-2], 1, 1), 0.0, 1.0, generator) < probability
    return torch.where(turned, patches.flip(-1), patches)


def random_blur(patches: Tensor, generator: torch.Generator, *, max_size: int = 5, sigma: float = 20.0) -> Tensor:
    """Blur each ``(..., F, N)`` patch by a Gaussian of an odd size up to ``max_size``, drawn for either axis by itself.

    Edges are mirrored without repeating the outermost bin, as OpenCV does (fonseca2021, released code). The weights of a
    size sum to 1, so that a flat patch stays as it is.
    """
    flat = patches.reshape(-1, *patches.shape[-2:])
    sizes = torch.full((len(flat), 2), (max_size + 1) // 2, device=patches.device)
    radii = _integers(sizes, generator)
    for axis in (0, 1):
        flat = _blurred(flat.transpose(1, 2), radii[:, axis], max_size // 2, sigma)
    return flat.reshape(patches.shape)


def _blurred(patches: Tensor, radius: Tensor, largest: int, sigma: float) -> Tensor:
    """``(M, A, N)`` patches blurred along their last axis, each by the Gaussian cut off at its ``radius (M,)``."""
    if not largest:
        return patches
    offsets = torch.arange(-largest, largest + 1, device=patches.device)
    weights = (-0.5 * (offsets / sigma).square()).exp() * (offsets.abs() <= radius[:, None])
    weights = weights / weights.sum(dim=1, keepdim=True)
    padded = functional.pad(patches, (largest, largest), mode="reflect")
    shifted = padded.unfold(-1, patches.shape[-1], 1)  # (M, A, 2 largest + 1, N)
    return torch.einsum("mk,makn->man", weights.to(patches), shifted)
