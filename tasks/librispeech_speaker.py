"""Who reads: the 251 readers of LibriSpeech's train-clean-100."""

from benchmark import Task

TASK = Task(
    id="librispeech_speaker",
    title="LibriSpeech speakers",
    dataset="librispeech100",
    label="speaker",
    split_column="split",
    notes=(
        "wang2021 and tagliasacchi2020 state no split. Here a reader is tested on a chapter not heard in training, where "
        "there are two; a random split by utterance is close to trivial (wang2021 prints 99.6 and 100.0 %).",
    ),
)
