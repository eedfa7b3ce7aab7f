"""What each training step reads: a pure function of (seed, run, step), so a resumed run reads what it would have read.

A pass visits a corpus once, without replacement and in a new order. Each batch comes from one corpus, because corpora
differ in bandwidth and codec and a contrastive loss would learn to tell them apart instead of their sounds. An epoch is one
pass over the corpus with the shortest clips, and so many over the others that every second of audio counts about the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
import torch
from numpy.typing import NDArray

from benchmark.corpus.store import Corpus
from benchmark.distributed import shared, world_size
from benchmark.errors import ConfigError, DataError
from benchmark.pretraining.method import Batch, CropRequest
from benchmark.seeding import numpy_stream
from benchmark.signal.crops import to_waveforms


@dataclass(frozen=True)
class Source:
    """The clips of one corpus that a run may train on."""

    corpus: Corpus
    rows: NDArray[np.int64]
    labels: NDArray[np.integer] | None = None
    """Class index of every clip of the corpus, by row; of a multi-label task zeros and ones by row and class."""


@dataclass(frozen=True)
class _Read:
    """A batch still on the host."""

    waveforms: NDArray[np.int16]
    lengths: NDArray[np.int64]
    labels: NDArray[np.integer] | None
    positions: NDArray[np.float32]


class TrainingData:
    """Batches of random crops by step.

    Args:
        sources: corpora and their allowed rows.
        request: crops a clip and their length.
        batch_size: clips a batch, of which each rank reads an equal share. A corpus with fewer clips gives batches of all its
            clips (of several ranks, as many as they can share); otherwise the clips that do not fill a last batch sit
            out the pass, others each time.
        seed, run: name the random streams.
        device: where batches go.
        max_clips: use a seeded subset of so many clips, drawn from all sources together.

    Raises:
        ConfigError: ranks cannot share a batch equally.
        DataError: no clip is left to train on, or none is long enough.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        request: CropRequest,
        batch_size: int,
        *,
        seed: int,
        run: str,
        device: torch.device | str = "cpu",
        max_clips: int | None = None,
    ) -> None:
        names = ", ".join(source.corpus.dataset for source in sources) or "no corpus"
        self.allowed = [source for source in _subset(sources, max_clips, seed) if len(source.rows)]
        """What may be trained on, whatever the length of its clips."""
        if not self.allowed:
            raise DataError(f"{run}: no clip of {names} may be trained on; exclude less or train on other data.")
        self.sources = [
            source for source in map(partial(_long_enough, request.minimum), self.allowed) if len(source.rows)
        ]
        if not self.sources:
            seconds = request.minimum / self.allowed[0].corpus.sample_rate
            raise DataError(
                f"{run}: no clip of {names} has the {seconds:.2f} s that this method reads; train on longer clips or shorten "
                "what it reads (method_config)."
            )
        self.request = request
        self.seed, self.run = seed, run
        self.device = torch.device(device)
        self.samples = [source.corpus.clips["samples"].to_numpy(np.int64) for source in self.sources]
        self.batch_sizes = [_shareable(batch_size, len(source.rows), run) for source in self.sources]
        self.batches_a_pass = [
            len(source.rows) // size for source, size in zip(self.sources, self.batch_sizes, strict=True)
        ]
        means = [samples[source.rows].mean() for source, samples in zip(self.sources, self.samples, strict=True)]
        self.passes = [round(mean / min(means)) for mean in means]
        self.order = _interleaved([p * n for p, n in zip(self.passes, self.batches_a_pass, strict=True)])
        self._permutation = lru_cache(maxsize=2 * len(self.sources))(self._draw_permutation)

    @property
    def steps_per_epoch(self) -> int:
        """Batches in which every clip is visited at least once; once, where there is one corpus."""
        return len(self.order)

    def batch_size(self, step: int) -> int:
        """Clips in the batch of one step, of all ranks together."""
        return self.batch_sizes[self.order[step % len(self.order)][0]]

    def clips(self, step: int) -> tuple[int, NDArray[np.int64]]:
        """Source index and rows of the clips of one step's batch."""
        epoch, place = divmod(step, len(self.order))
        index, number = self.order[place]
        completed, batch = divmod(number, self.batches_a_pass[index])
        size = self.batch_sizes[index]
        clips = self._permutation(index, epoch * self.passes[index] + completed)
        return index, clips[batch * size : (batch + 1) * size]

    def batch(self, step: int) -> Batch:
        """This rank's share of the batch of one step, on the device."""
        return self._deliver(self._read(step))

    def batches(self, first: int, last: int) -> Iterator[Batch]:
        """This rank's share of the batches of steps ``first`` to ``last - 1``.

        One thread reads the next while the present one is in use.
        """
        with ThreadPoolExecutor(1, thread_name_prefix="crops") as reader:
            ahead = reader.submit(self._read, first) if first < last else None
            for step in range(first, last):
                assert ahead is not None
                ready = ahead.result()
                ahead = reader.submit(self._read, step + 1) if step + 1 < last else None
                yield self._deliver(ready)

    def calibration(self, crops: int, samples: int, batch_size: int = 128) -> list[Batch]:
        """About ``crops`` crops of ``samples`` samples in a fixed draw from all sources, one crop a clip.

        The draw depends on the seed and the clips but not on the run, so every method on the same data fits its input
        statistics and its batch-norm to the same crops.
        """
        total = sum(len(source.rows) for source in self.allowed)
        batches = []
        for source in self.allowed:
            stream = numpy_stream(self.seed, "calibration", source.corpus.dataset)
            share = min(len(source.rows), max(1, round(crops * len(source.rows) / total)))
            rows = source.rows[stream.permutation(len(source.rows))[:share]]
            request = CropRequest(1, samples, self.request.short)
            parts = np.array_split(rows, -(-share // batch_size))
            batches += [self._deliver(_gather(source, part, request, stream)) for part in parts]
        return batches

    def short_clips(self) -> int:
        """Clips in use that are shorter than a crop and are padded or tiled."""
        pairs = zip(self.sources, self.samples, strict=True)
        return sum(int((samples[source.rows] < self.request.samples).sum()) for source, samples in pairs)

    def too_short(self) -> int:
        """Clips that may be trained on but are shorter than the method can use."""
        return sum(len(source.rows) for source in self.allowed) - sum(len(source.rows) for source in self.sources)

    def _draw_permutation(self, index: int, number: int) -> NDArray[np.int64]:
        """Order of the clips in pass ``number`` over a source."""
        source = self.sources[index]
        stream = numpy_stream(self.seed, self.run, "clips", source.corpus.dataset, number)
        return source.rows[stream.permutation(len(source.rows))]

    def _read(self, step: int) -> _Read:
        index, rows = self.clips(step)
        stream = numpy_stream(self.seed, self.run, "crops", step)
        return _gather(self.sources[index], rows, self.request, stream, shared(len(rows)))

    def _deliver(self, read: _Read) -> Batch:
        labels = None if read.labels is None else torch.from_numpy(read.labels).to(self.device)
        waveforms = to_waveforms(read.waveforms, self.device)
        lengths, positions = (torch.from_numpy(array).to(self.device) for array in (read.lengths, read.positions))
        return Batch(waveforms, lengths, labels, positions)


def _gather(
    source: Source,
    rows: NDArray[np.int64],
    request: CropRequest,
    stream: np.random.Generator,
    part: slice = slice(None),
) -> _Read:
    """The requested crops of the clips ``rows``, of which only ``part`` is read."""
    samples = source.corpus.clips["samples"].to_numpy(np.int64)[rows]
    room = np.maximum(samples - request.samples, 0)
    starts = request.starts(stream, room, request.views)[part]
    rows, samples, room = rows[part], samples[part], room[part]
    crops = source.corpus.gather(
        np.repeat(rows, request.views), starts.reshape(-1), request.samples, short=request.short
    )
    whole = np.full_like(rows, request.samples)
    lengths = whole if request.short == "tile" else np.minimum(samples, whole)
    labels = None if source.labels is None else source.labels[rows]
    positions = (starts / np.maximum(room, 1)[:, None]).astype(np.float32)
    return _Read(crops.reshape(len(rows), request.views, request.samples), lengths, labels, positions)


def _shareable(batch_size: int, clips: int, run: str) -> int:
    """Clips in each batch of a corpus of ``clips`` clips."""
    ranks = world_size()
    if batch_size % ranks:
        raise ConfigError(f"{run}: training.batch_size {batch_size} does not divide by machine.ranks {ranks}.")
    if clips < ranks:
        raise DataError(f"{run}: {clips} clips do not give each of {ranks} ranks one; lower machine.ranks.")
    return min(batch_size, clips // ranks * ranks)


def _long_enough(minimum: int, source: Source) -> Source:
    samples = source.corpus.clips["samples"].to_numpy(np.int64)[source.rows]
    return Source(source.corpus, source.rows[samples >= minimum], source.labels)


def _subset(sources: Sequence[Source], max_clips: int | None, seed: int) -> list[Source]:
    """The sources cut to a seeded subset of ``max_clips`` clips, rows in ascending order."""
    bounds = np.cumsum([0, *(len(source.rows) for source in sources)])
    if max_clips is None or max_clips >= bounds[-1]:
        return list(sources)
    kept = np.sort(numpy_stream(seed, "max_clips").permutation(bounds[-1])[:max_clips])
    return [
        Source(source.corpus, source.rows[kept[(kept >= low) & (kept < high)] - low], source.labels)
        for source, low, high in zip(sources, bounds[:-1], bounds[1:], strict=True)
    ]


def _interleaved(batches: list[int]) -> list[tuple[int, int]]:
    """(source, batch) pairs of one epoch, each source's batches spread evenly over it."""
    places = [((batch + 0.5) / count, source, batch) for source, count in enumerate(batches) for batch in range(count)]
    return [(source, batch) for _, source, batch in sorted(places)]
