"""Pre-flight of a method and an encoder on synthetic audio: what would spoil a run, found in seconds and said in plain words.

Each check is a function from a :class:`Subject` to the problems it sees, in the order in which a person would mend them. A
problem that makes the later checks meaningless (nothing can be built, no step can be taken) ends the pre-flight.
"""

from __future__ import annotations

import inspect
import json
import random
import re
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.artifacts import read_arrays, write_arrays
from benchmark.config import Config, Training, validate
from benchmark.errors import BenchmarkError, ConfigError
from benchmark.pretraining.checkpoint import to_numpy
from benchmark.pretraining.method import Batch, CropRequest, Method, Step
from benchmark.pretraining.schedule import build_optimizer
from benchmark.seeding import isolated_torch_seed, numpy_stream, torch_stream
from benchmark.signal.encoder import Encoder, LogMelEncoder

CLIPS = 8
CLASSES = 4
SHORT = 3
"""Clips of the odd, last batch."""
FALLING_STEPS = 15
_SEED = 0
_DRAWING = (nn.modules.dropout._DropoutNd, nn.RReLU, nn.MultiheadAttention, nn.RNNBase)
"""Modules that draw from torch's global generator, which the loop seeds for them at every step."""
_DEVICE_WORDS = re.compile(r"""\.cuda\(|(?:device\s*=|\.to\()\s*["'](?:cuda|cpu|mps)""")


@dataclass(frozen=True)
class Problem:
    """What is wrong, and what to do about it."""

    what: str
    hint: str
    warning: bool = False
    """A warning does not fail the pre-flight."""


@dataclass(frozen=True)
class Finding:
    """The outcome of one check."""

    check: str
    outcome: Literal["ok", "warning", "fault", "unchecked"]
    problem: Problem | None = None

    def __str__(self) -> str:
        told = f": {self.problem.what}. {self.problem.hint}" if self.problem else ""
        return f"{self.outcome:<12}{self.check}{told}"


@dataclass(frozen=True)
class Subject:
    """A method on an encoder, with the weights that the pre-training stage would give it."""

    method: type[Method]
    encoder: type[Encoder]
    width: float = 0.125
    """Of the encoder: narrow, so that the checks take seconds."""

    @property
    def trains(self) -> bool:
        """Whether the method trains anything."""
        return self.method.default_training.steps != 0

    def encoder_config(self) -> Any:
        """The encoder's defaults at the width of the pre-flight."""
        return validate(self.encoder.Config, {"width": self.width}, "the encoder's Config")

    def build_encoder(self) -> Encoder:
        """The encoder of the Untrained reference: its weights depend on the seed alone."""
        with isolated_torch_seed(_SEED, "encoder"):
            return self.encoder(self.encoder_config())

    def build(self) -> Method:
        """A fresh method in training mode, its input statistics fitted as before the first step."""
        encoder = self.build_encoder()
        with isolated_torch_seed(_SEED, "method"):
            method = self.method(self.method.Config(), encoder, CLASSES if self.method.needs_labels else None)
        if isinstance(encoder, LogMelEncoder):
            encoder.fit_input(synthetic_clips(CLIPS, encoder.window, encoder.sample_rate))
        return method.train()

    def batch(self, method: Method, clips: int = CLIPS) -> Batch:
        """Crops of synthetic clips, as the training data would cut them; labels where the method needs them."""
        request = method.crops()
        room = max(request.minimum - request.samples, 0) + method.encoder.sample_rate // 2
        waves = synthetic_clips(clips, request.samples + room, method.encoder.sample_rate)
        starts = request.starts(numpy_stream(_SEED, "starts"), np.full(clips, room), request.views)
        crops = waves.unfold(1, request.samples, 1)[torch.arange(clips)[:, None], torch.from_numpy(starts)]
        return Batch(
            crops,
            torch.full((clips,), request.samples),
            torch.arange(clips) % CLASSES if self.method.needs_labels else None,
            torch.from_numpy((starts / room).astype(np.float32)),
        )


Check = Callable[[Subject], Iterator[Problem]]


def synthetic_clips(clips: int, samples: int, rate: int) -> Tensor:
    """Decaying, rising tones in a little noise, ``(clips, samples)``; each clip has a pitch of its own."""
    time = torch.arange(max(samples, 1)) / rate
    pitch = 200.0 * 2.0 ** (torch.arange(clips)[:, None] % CLASSES + 0.1 * torch.arange(clips)[:, None])
    wave = torch.sin(2 * torch.pi * pitch * (time + 0.5 * time.square())) * (1 - (4 * time) % 1)
    return 0.3 * wave + 1e-3 * torch.randn(wave.shape, generator=torch_stream(_SEED, "clips", clips))


def take_step(method: Method, batch: Batch, number: int = 0) -> Step:
    """Forward pass of one step with the random streams that the loop would give it."""
    with isolated_torch_seed(_SEED, number, "modules"):
        return method.step(batch, torch_stream(_SEED, number, "views"))


def train(method: Method, batch: Batch, steps: range) -> list[float]:
    """Steps of Adam on one batch; returns their losses."""
    optimizer = build_optimizer(Training(lr=1e-3), method)
    losses = []
    for number in steps:
        optimizer.zero_grad()
        loss = take_step(method, batch, number).loss
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        method.after_step(number)
        losses.append(loss.item())
    return losses


@torch.no_grad()
def embed(encoder: Encoder, waveforms: Tensor) -> Tensor:
    """Embeddings in evaluation mode; the encoder's mode is restored."""
    training = encoder.training
    embeddings = encoder.eval()(waveforms, torch.full((len(waveforms),), waveforms.shape[1]))
    encoder.train(training)
    return embeddings


def clips_for(encoder: Encoder, clips: int = SHORT) -> Tensor:
    """Synthetic input ``(clips, T)`` of an encoder: its window, or a second where it sees whole clips."""
    return synthetic_clips(clips, encoder.window or encoder.sample_rate, encoder.sample_rate)


def configuration(subject: Subject) -> Iterator[Problem]:
    """The defaults obey their own rules and survive the JSON of a job."""
    configs: list[tuple[str, Config]] = [("method", subject.method.Config()), ("encoder", subject.encoder.Config())]
    for kind, config in configs:
        try:
            again = validate(
                type(config), json.loads(json.dumps(config.model_dump(mode="json"))), f"the {kind}'s Config"
            )
        except (ConfigError, ValueError, TypeError) as error:
            told = f"the defaults of the {kind}'s Config are refused when read back from JSON ({error})"
            yield Problem(told, "Use numbers, strings, booleans, tuples and nested Configs, within their own bounds.")
            continue
        if again != config:
            yield Problem(
                f"the {kind}'s Config comes back from JSON changed",
                "Use numbers, strings, booleans, tuples and nested Configs.",
            )
    training = subject.method.default_training
    if training.steps is None and training.epochs is None:
        yield Problem("default_training has no length", "Set steps or epochs to the published value.")


def construction(subject: Subject) -> Iterator[Problem]:
    """Method and encoder can be built, again and again alike, and ask for crops that exist."""
    with no_global_draws(torch_too=False) as drawn:
        first, second = subject.build(), subject.build()
    if drawn:
        yield Problem(
            f"building them draws from the global generator of {' and '.join(drawn)}",
            "Initialise with torch.nn.init, whose generator is seeded for you.",
        )
    different = _different(first.state_dict(), second.state_dict())
    if different:
        yield Problem(
            f"two builds under the same seed differ in {different}",
            "Initialise with torch.nn.init or torch.randn, whose generator is seeded for you; not with numpy or the time.",
        )
    request = first.crops()
    if not isinstance(request, CropRequest) or request.views < 1 or request.samples < 1:
        asked = (
            f"{request.views} views of {request.samples} samples" if isinstance(request, CropRequest) else repr(request)
        )
        yield Problem(f"crops() asks for {asked}", "Return a CropRequest of at least one view of at least one sample.")


def step_result(subject: Subject) -> Iterator[Problem]:
    """A step's loss is a finite scalar with a gradient, its embeddings a batch of vectors."""
    method = subject.build()
    step = take_step(method, subject.batch(method))
    if not isinstance(step, Step) or not isinstance(step.loss, Tensor):
        yield Problem(f"step() returns a {type(step).__name__}", "Return Step(loss, embeddings).")
        return
    if step.loss.shape != ():
        yield Problem(f"the loss has the shape {tuple(step.loss.shape)}", "Reduce it to a scalar, e.g. by .mean().")
    elif not step.loss.isfinite():
        yield Problem(f"the loss is {step.loss.item()}", "Look for a logarithm or a division of zero in step().")
    if not step.loss.requires_grad:
        yield Problem(
            "the loss has no gradient", "Compute it outside torch.no_grad() and without .item() or .detach()."
        )
    if (embeddings := step.embeddings) is not None and (embeddings.ndim != 2 or len(embeddings) % CLIPS):
        yield Problem(
            f"Step.embeddings has the shape {tuple(embeddings.shape)}", "Give (B, D) representations, or None."
        )


def gradients(subject: Subject) -> Iterator[Problem]:
    """A step's gradient reaches every trainable parameter."""
    method = subject.build()
    batch = subject.batch(method)
    for number in range(2):  # dead units of one batch may live in another
        take_step(method, batch, number).loss.backward()  # type: ignore[no-untyped-call]
    trainable = {name: value for name, value in method.named_parameters() if value.requires_grad}
    unreached = [name for name, value in trainable.items() if value.grad is None]
    encoder = [name for name in unreached if name.startswith("encoder.")]
    if encoder:
        yield Problem(
            f"no gradient reaches {encoder[0]} of the encoder{_more(encoder)}",
            "Embed with self.encoder outside torch.no_grad() and without .detach(), and use every layer.",
        )
    elif unreached:
        yield Problem(
            f"no gradient reaches {unreached[0]}{_more(unreached)}",
            "Use it in the loss, or call requires_grad_(False) on what is not trained by gradients.",
        )
    faulty = [name for name, value in trainable.items() if value.grad is not None and not value.grad.isfinite().all()]
    if faulty:
        yield Problem(
            f"the gradient of {faulty[0]} is not finite{_more(faulty)}",
            "Look for the slope of a square root, a logarithm or a norm at zero.",
        )
    zero = [name for name, value in trainable.items() if value.grad is not None and not value.grad.any()]
    if zero:
        all_zero = {name for name in trainable if name.startswith("encoder.")} <= {*zero, *unreached}
        yield Problem(
            f"the gradient of {zero[0]} is exactly zero{_more(zero)}",
            "Check that the loss depends on it.",
            warning=not all_zero,
        )


def determinism(subject: Subject) -> Iterator[Problem]:
    """The same weights, batch and generator give the same loss."""
    losses = []
    for _ in range(2):
        method = subject.build()
        losses.append(take_step(method, subject.batch(method)).loss.item())
    if losses[0] != losses[1]:
        yield Problem(
            f"the same batch and generator gave the losses {losses[0]!r} and {losses[1]!r}",
            "Draw everything from the generator that step() is given, and nothing from the clock or a fresh generator.",
        )


def global_randomness(subject: Subject) -> Iterator[Problem]:
    """A step leaves the global generators of torch, numpy and random where they were; dropout modules are excepted."""
    method = subject.build()
    for module in method.modules():
        if isinstance(module, _DRAWING):
            module.eval()
    batch = subject.batch(method)
    with no_global_draws(torch_too=True) as drawn:
        method.step(batch, torch_stream(_SEED, "views"))
    if drawn:
        yield Problem(
            f"step() draws from the global generator of {' and '.join(drawn)}",
            "Pass the generator on: torch.rand(..., generator=generator, device=generator.device).",
        )


def same_start(subject: Subject) -> Iterator[Problem]:
    """Before the first step the encoder has the weights of the Untrained reference of the same seed."""
    untrained = dict(subject.build_encoder().named_parameters())
    method = subject.build()
    exported = method.exported().get("encoder", method.encoder)
    for who, encoder in (("the encoder", method.encoder), ("the exported encoder", exported)):
        if different := _different(untrained, dict(encoder.named_parameters())):
            yield Problem(
                f"before the first step {who} differs from Untrained's of the same seed in {different}",
                "Take the encoder as it is given: neither re-initialise it nor add to it.",
            )
            return


def export(subject: Subject) -> Iterator[Problem]:
    """What the method leaves behind is an encoder of the kind it was given, and a classifier just where it trains one."""
    method = subject.build()
    exported = method.exported()
    if not isinstance(exported, dict) or not isinstance(exported.get("encoder"), Encoder):
        yield Problem(
            f"exported() gives {type(exported).__name__} without an Encoder called 'encoder'",
            "Return {'encoder': <the Encoder to evaluate>}.",
        )
    head, wanted = method.head(), method.needs_labels
    shape = (CLASSES, method.encoder.embedding_size)
    if wanted and not (isinstance(head, nn.Linear) and tuple(head.weight.shape) == shape):
        yield Problem(
            f"needs_labels is set and head() gives {head!r}",
            "Return the nn.Linear from the embedding to n_classes that is trained with the labels.",
        )
    if head is not None and not wanted:
        yield Problem(
            "head() gives a classifier and needs_labels is not set", "Set needs_labels = True, or return None."
        )


def embedding(subject: Subject) -> Iterator[Problem]:
    """Embeddings are float32 of the declared size, one a clip, and finite on silence."""
    encoder = subject.build_encoder()
    waveforms = clips_for(encoder)
    embeddings = embed(encoder, waveforms)
    if embeddings.shape != (SHORT, encoder.embedding_size) or embeddings.dtype != torch.float32:
        yield Problem(
            f"{SHORT} clips are embedded as {tuple(embeddings.shape)} of {embeddings.dtype}, "
            f"and embedding_size is {encoder.embedding_size}",
            "Return (B, embedding_size) float32; set embedding_size to what the last layer gives.",
        )
        return
    if not embed(encoder, torch.zeros_like(waveforms)).isfinite().all():
        yield Problem(
            "the embedding of digital silence is not finite", "Add a small constant before a logarithm or a division."
        )
    if not torch.allclose(embeddings[:1], embed(encoder, waveforms[:1]), rtol=1e-3, atol=1e-4):
        yield Problem(
            "the embedding of a clip depends on the other clips of its batch",
            "In evaluation mode use nothing of the batch: no statistics over its first axis.",
        )


def silence(subject: Subject) -> Iterator[Problem]:
    """Loss and gradients stay finite where some clips, or all of them, are digital silence."""
    for share, clips in (("half of the clips are", CLIPS // 2), ("all clips are", CLIPS)):
        method = subject.build()
        batch = subject.batch(method)
        waveforms = batch.waveforms.clone()
        waveforms[:clips] = 0
        loss = take_step(method, replace(batch, waveforms=waveforms)).loss
        loss.backward()  # type: ignore[no-untyped-call]
        finite = all(p.grad.isfinite().all() for p in method.parameters() if p.grad is not None)
        if not (loss.isfinite() and finite):
            yield Problem(
                f"{'its gradient' if loss.isfinite() else 'the loss'} is not finite where {share} digital silence",
                "Add a small constant before a logarithm, a norm or a division.",
            )
            return


def short_batch(subject: Subject) -> Iterator[Problem]:
    """A method takes batches of any size, also a smaller one after a larger."""
    method = subject.build()
    train(method, subject.batch(method), range(1))
    try:
        loss = train(method, subject.batch(method, SHORT), range(1, 2))[0]
    except Exception as error:
        told = f"a batch of {SHORT} clips after one of {CLIPS} fails ({type(error).__name__}: {_first_line(error)})"
        yield Problem(told, "Take the batch's size from len(batch.waveforms) in every step.")
        return
    if not np.isfinite(loss):
        yield Problem(
            f"the loss of a batch of {SHORT} clips is {loss}", "Divide by nothing that a small batch makes zero."
        )


def resuming(subject: Subject) -> Iterator[Problem]:
    """A method that is loaded from its state goes on exactly as the one that was saved."""
    method, other = subject.build(), subject.build()
    batch = subject.batch(method)
    train(method, batch, range(2))
    try:
        other.load_state_dict(deepcopy(method.state_dict()))
    except RuntimeError as error:
        yield Problem(
            f"its state cannot be loaded ({_first_line(error)})", "Build all parameters and buffers in __init__()."
        )
        return
    losses = [train(one, batch, range(2, 4)) for one in (method, other)]
    if losses[0] != losses[1]:
        yield Problem(
            f"after saving and loading, the next losses are {losses[1]} and not {losses[0]}",
            "Keep what a step changes in parameters or buffers (register_buffer): nothing else is saved.",
        )


def saving(subject: Subject) -> Iterator[Problem]:
    """The exported encoder, written, and read into a fresh one, gives the same embeddings."""
    method = subject.build()
    batch = subject.batch(method)
    if subject.trains:
        train(method, batch, range(2))
    with torch.no_grad():
        method.finish([batch])
    encoder = method.exported()["encoder"]
    waveforms = clips_for(encoder)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "encoder.safetensors"
        write_arrays(file, {name: to_numpy(value) for name, value in encoder.state_dict().items()}, {})
        arrays, _ = read_arrays(file)
    fresh = subject.build_encoder()
    try:
        fresh.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    except RuntimeError as error:
        told = f"the exported encoder cannot be loaded into a fresh one ({_first_line(error)})"
        yield Problem(told, "Export an encoder of the class and configuration that the method was given.")
        return
    if not torch.equal(embed(encoder, waveforms), embed(fresh, waveforms)):
        yield Problem(
            "the exported encoder, saved and loaded, gives other embeddings",
            "Keep everything that the embedding depends on in parameters or buffers (register_buffer).",
        )


def device(subject: Subject) -> Iterator[Problem]:
    """No device is written down, and what a step creates lies where its batch lies."""
    for kind, cls in (("method", subject.method), ("encoder", subject.encoder)):
        for number, line in enumerate(_source_lines(cls), start=1):
            if _DEVICE_WORDS.search(line):
                yield Problem(
                    f"line {number} of the {kind} {cls.__name__} names a device ({line.strip()})",
                    "Create tensors with device=batch.waveforms.device.",
                )
                return
    if not subject.trains:
        return
    method = subject.build()
    batch = subject.batch(method)
    take_step(method, batch)
    try:
        with torch.device("meta"):  # whatever is created without a device now lies elsewhere than the batch
            loss = method.step(batch, torch_stream(_SEED, "views")).loss
    except (RuntimeError, NotImplementedError) as error:
        told = f"step() creates a tensor on the default device{_where(error, subject)}"
        yield Problem(told, "Create tensors with device=batch.waveforms.device; on a GPU this would stop the run.")
        return
    if loss.device != batch.waveforms.device:
        yield Problem(
            "the loss does not lie where the batch does", "Create tensors with device=batch.waveforms.device."
        )


def learning(subject: Subject) -> Iterator[Problem]:
    """The loss of one batch falls in a few steps of Adam."""
    method = subject.build()
    losses = train(method, subject.batch(method), range(FALLING_STEPS))
    if not np.mean(losses[-3:]) < np.mean(losses[:3]):
        yield Problem(
            f"the loss of one batch went from {np.mean(losses[:3]):.4g} to {np.mean(losses[-3:]):.4g} in {FALLING_STEPS} steps",
            "Check its sign, and that it can be lowered at all; a hard pretext task may need longer.",
            warning=True,
        )


ESSENTIAL: tuple[Check, ...] = (configuration, construction, embedding)
FOR_ALL: tuple[Check, ...] = (export, same_start, saving, device)
ESSENTIAL_IN_TRAINING: tuple[Check, ...] = (step_result,)
FOR_TRAINED: tuple[Check, ...] = (gradients, determinism, global_randomness, short_batch, silence, resuming, learning)


def preflight(subject: Subject) -> Iterator[Finding]:
    """Every check's outcome, one after another; the cheap and fundamental ones come first."""
    training = (*ESSENTIAL_IN_TRAINING, *FOR_TRAINED) if subject.trains else ()
    stopped = False
    for check in (*ESSENTIAL, *training, *FOR_ALL):
        title = check.__name__.replace("_", " ")
        if stopped:
            yield Finding(title, "unchecked")
            continue
        findings = list(_findings(check, subject, title))
        yield from findings
        faulty = any(finding.outcome == "fault" for finding in findings)
        stopped = faulty and check in {*ESSENTIAL, *ESSENTIAL_IN_TRAINING}


def _findings(check: Check, subject: Subject, title: str) -> Iterator[Finding]:
    try:
        with no_global_draws(torch_too=True):  # whatever it draws, the caller's generators stay as they were
            problems = list(check(subject))
    except BenchmarkError as error:
        problems = [Problem(f"it refuses in its own words: {_first_line(error)}", "Do what they say.")]
    except Exception as error:  # the code under test may raise anything, and the report is to say so
        told = f"it stops with {type(error).__name__}: {_first_line(error)}{_where(error, subject)}"
        problems = [Problem(told, "Mend that line first.")]
    for problem in problems:
        yield Finding(title, "warning" if problem.warning else "fault", problem)
    if not problems:
        yield Finding(title, "ok")


@contextmanager
def no_global_draws(torch_too: bool) -> Iterator[list[str]]:
    """Names, once the block is over, the libraries whose global generators it advanced; puts them back."""
    drawn: list[str] = []
    before = _global_states()
    try:
        yield drawn
    finally:
        after = _global_states()
        torch.set_rng_state(before["torch"])
        np.random.set_state(before["numpy"])  # noqa: NPY002
        random.setstate(before["random"])
    compared = before if torch_too else ("numpy", "random")
    drawn += [name for name in compared if _plain(before[name]) != _plain(after[name])]


def _global_states() -> dict[str, Any]:
    return {"torch": torch.get_rng_state(), "numpy": np.random.get_state(), "random": random.getstate()}  # noqa: NPY002


def _plain(state: Any) -> list[Any]:
    """A generator's state as plain values, which compare."""
    if isinstance(state, Tensor):
        return list(state.tolist())
    return [part.tolist() if isinstance(part, np.ndarray) else part for part in state]


def _different(one: dict[str, Any], other: dict[str, Any]) -> str:
    """The first name under which two collections of tensors differ; empty where they are equal."""
    for name in [*one, *other]:
        if name not in one or name not in other or not torch.equal(one[name], other[name]):
            return name
    return ""


def _more(names: list[str]) -> str:
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0].rstrip(".:")


def _source_lines(cls: type) -> list[str]:
    try:
        return inspect.getsource(cls).splitlines()
    except (OSError, TypeError):  # a class made in an interpreter has no source
        return []


def _where(error: Exception, subject: Subject) -> str:
    """The innermost line of the plugin's own files that led to an error."""
    own = {inspect.getsourcefile(cls) for cls in (subject.method, subject.encoder)}
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in own]
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno}: {frames[-1].line})" if frames else ""
