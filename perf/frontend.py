"""CPU front-end: our log-mels against torchaudio's MelSpectrogram and logarithm, at both published settings.

Two threads, 256 clips a batch. torchaudio frames an uncentred signal by n_fft, with the window in the middle; padding
the signal by half the difference at either side gives it the very frames of a signal framed by its window.

Run it on an otherwise idle machine: a chunk in cache is soon done, and its threads wait for each other more often.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from torchaudio.transforms import MelSpectrogram

from benchmark.signal.frontend import FONSECA2021, TAGLIASACCHI2020, LogMel, LogMelConfig, normalise_waveform
from perf.measure import alternate, report

CLIPS = 256


def torchaudio_log_mel(config: LogMelConfig) -> Callable[[Tensor], Tensor]:
    mel = MelSpectrogram(
        config.sample_rate,
        n_fft=config.n_fft,
        win_length=config.win_length,
        hop_length=config.hop,
        f_min=config.f_min,
        f_max=config.f_max,
        n_mels=config.n_mels,
        window_fn={"hann": torch.hann_window, "hamming": torch.hamming_window}[config.window],
        power={"magnitude": 1.0, "power": 2.0}[config.spectrum],
        center=config.centre,
        mel_scale=config.mel_scale,
    )
    margin = 0 if config.centre else (config.n_fft - config.win_length) // 2

    def log_mel(waveform: Tensor) -> Tensor:
        waveform = normalise_waveform(waveform) if config.normalise_waveform else waveform
        mels = mel(pad(waveform, (margin, margin)))
        mels = mels.clamp_min(config.floor) if config.floor_rule == "clamp" else mels + config.floor
        return mels.log() if config.log == "ln" else mels.log10()

    return log_mel


@torch.no_grad()
def compare(config: LogMelConfig, samples: int) -> dict[str, Any]:
    waveform = 0.1 * torch.randn(CLIPS, samples, generator=torch.Generator().manual_seed(0))
    ours, theirs = LogMel(config), torchaudio_log_mel(config)
    ours_power, theirs_power = ours.power(ours(waveform).double()), ours.power(theirs(waveform).double())
    times = alternate(lambda: theirs(waveform), lambda: ours(waveform), repeats=7)
    return {
        "samples": samples,
        "sample_rate": config.sample_rate,
        "torchaudio_clips_a_second": CLIPS / times["baseline_s"],
        "ours_clips_a_second": CLIPS / times["candidate_s"],
        "max_relative_error": float(((ours_power - theirs_power).abs() / theirs_power).max()),
        **times,
    }


def main() -> None:
    torch.set_num_threads(2)
    report(
        "frontend",
        {
            "tagliasacchi2020, 975 ms": compare(TAGLIASACCHI2020, 15_600),
            "tagliasacchi2020, 1 s": compare(TAGLIASACCHI2020, 16_000),
            "fonseca2021, 1 s": compare(FONSECA2021, 22_050),
        },
    )


if __name__ == "__main__":
    main()
