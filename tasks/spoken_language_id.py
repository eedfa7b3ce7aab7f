"""Which of three languages is spoken: the Kaggle set's own train and test folders."""

from benchmark import Task

TASK = Task(
    id="spoken_language_id",
    title="Spoken language identification",
    dataset="kaggle_slid",
    label="language",
    split_column="split",
    notes=(
        "tagliasacchi2020 names English, Spanish and German and states no split; the folders are assumed, with the author's "
        "altered copies among the training clips.",
    ),
)
