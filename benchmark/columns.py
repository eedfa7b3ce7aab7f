"""Columns of the tables that evaluation hands to statistics: one tidy row a score, one a prediction."""

SCORE_COLUMNS = [
    *(
        "study",
        "run",
        "name",
        "method",
        "encoder",
        "pretrain_dataset",
        "variant",
        "task",
        "protocol",
        "train_size",
        "split",
    ),
    *("pretrain_seed", "head_seed", "fold", "metric", "value", "unit", "n", "status", "reason"),
    *("weights_hash", "data_hash", "protocol_hash", "code_hash"),
]
"""``value`` is a fraction; ``unit`` clip or slice; ``status`` ok or not run; ``train_size`` see
:func:`size_in_words`."""

PREDICTION_COLUMNS = [
    *(
        "name",
        "variant",
        "task",
        "protocol",
        "train_size",
        "fold",
        "head_seed",
        "clip_id",
        "group",
        "label",
        "prediction",
        "credit",
        "mass",
    ),
]
"""Test clips only; labels and predictions are class indices, of a multi-label task -1 and the class of the highest score.

Over the clips of a fold the sum of ``credit`` by that of ``mass`` is the task's headline metric, also, to first order, when clips
are resampled (see ``evaluation.contributions``)."""


CURVE_COLUMNS = [
    *("study", "run", "name", "variant", "task", "protocol", "train_size", "pretrain_seed", "head_seed", "fold"),
    *("step", "metric", "value"),
]
"""Scores of test clips in the course of fine-tuning; ``value`` is a fraction, the last ``step`` that of the whole training."""


def size_in_words(size: str, clips: str = "clips") -> str:
    """A train size for readers: ``full``, so many clips a class (``1000``), or so many in total (``1000-total``)."""
    if size == "full":
        return "the full training part"
    number = size.removesuffix("-total")
    return f"{number} {clips} {'a class' if number == size else 'in total'}"
