"""The nearest-neighbour score of a run in training, by the protocol and on the clips by which it is scored afterwards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from benchmark.corpus.splits import task_clips
from benchmark.corpus.store import Corpus
from benchmark.errors import DataError
from benchmark.evaluation.contributions import contributions
from benchmark.evaluation.embedding import embed
from benchmark.evaluation.intra_knn import set_clips, vote
from benchmark.jobs import ProbeJob
from benchmark.pretraining.method import Method
from benchmark.pretraining.probing import Predictions
from benchmark.signal.projection import Projected
from benchmark.workspace import Workspace


@dataclass
class IntraSetScore:
    """Scores a method by votes among the patches of one set of clips (fonseca2021 section 3.3); a ``Measure``."""

    job: ProbeJob
    workspace: Workspace

    def __post_init__(self) -> None:
        ref = self.job.task
        if why := ref.corpus.absent or ref.missing:
            raise DataError(f"The probe on {ref.task} has no data: {why}; fetch it or drop the probe.")
        corpus = Corpus.open(self.workspace.corpus(ref.corpus.dataset, ref.corpus.rate), ref.corpus.fingerprint)
        found = task_clips(ref.record, corpus.clips)
        test = set_clips(found.folds)
        self.corpus, self.rows, self.labels = corpus, found.rows[test], found.labels[test]
        self.metric, self.n_classes = found.task.metric, len(found.classes)

    def __call__(self, method: Method) -> tuple[float, Predictions]:
        """The task's metric, and a class for each of its test clips in the order of the corpus."""
        protocol, encoder = self.job.protocol, method.exported()["encoder"]
        projection = method.projection() if protocol.feature == "z" else None
        seen = Projected(encoder, projection) if projection is not None else encoder
        device = next(method.parameters()).device
        found = embed(seen, self.corpus, self.rows, protocol.hop, device, protocol.short, remainder=protocol.remainder)
        slices = torch.from_numpy(found.slices)
        predictions = vote(slices, self.labels, found.clip_of_slice, protocol.neighbours[0], self.n_classes)
        nothing = np.empty((len(predictions), 0), np.float32)
        return contributions(self.metric, self.labels, predictions, nothing).value, predictions
