"""The pipeline's stages as functions: read a job, do the work, record how long it took."""

from __future__ import annotations

from benchmark import registry
from benchmark.artifacts import read_json, write_json
from benchmark.closure import code_hash
from benchmark.config import load_params
from benchmark.errors import AccessError, ConfigError, DownloadError
from benchmark.jobs import EvaluateJob, PretrainJob, ReportJob, read_job
from benchmark.launch import launch, must_launch
from benchmark.plan import check_active, make_plan, profile_of
from benchmark.source import remembered
from benchmark.timing import recorded
from benchmark.workspace import Workspace


def split_corpus(corpus: str) -> tuple[str, int]:
    """``esc50-16000`` as dataset and rate in Hz.

    Raises:
        ConfigError: the name is not of that form, or the dataset is unknown.
    """
    dataset, _, rate = corpus.rpartition("-")
    if not rate.isdigit():
        raise ConfigError(f"Corpus {corpus!r} is not <dataset>-<rate in Hz>, for example esc50-16000.")
    registry.find("dataset", dataset)
    return dataset, int(rate)


def scan_stage(workspace: Workspace) -> None:
    """Write what raw data is there, with the code that would prepare it, to one JSON a corpus."""
    from benchmark.corpus.scan import scan

    params = load_params(workspace.root)
    check_active(workspace.root, params, workspace.profile)
    profile = profile_of(params, workspace.profile)
    corpora = [(corpus, *split_corpus(corpus)) for corpus in params.active.corpora]
    failed = _fetch_absent(workspace, sorted({dataset for _, dataset, _ in corpora})) if profile.fetch else {}
    with remembered(workspace.cache):
        for corpus, dataset, rate in corpora:
            record = registry.load("dataset", dataset)
            found = scan(record, workspace.raw, profile.data)
            if dataset in failed and not found["present"]:
                found["reason"] = failed[dataset]
            code = code_hash(["benchmark.corpus.prepare", registry.find("dataset", dataset).module])
            write_json(workspace.scan(corpus), {**found, "rate": rate, "code": code})


def _fetch_absent(workspace: Workspace, datasets: list[str]) -> dict[str, str]:
    """Fetch what a profile that may do so lacks; a dataset that cannot be had is no failure, its reason is returned.

    It happens before the scan and not in prepare, because what was fetched must be known when DVC decides what to run.
    """
    from benchmark.corpus.fetch import fetch
    from benchmark.corpus.receipts import raw_state

    failed = {}
    for dataset in datasets:
        record = registry.load("dataset", dataset)
        try:
            if raw_state(record, workspace.raw)[0] != "present":
                fetch(record, workspace.raw)
        except (AccessError, DownloadError) as error:
            failed[dataset] = str(error)
    return failed


def prepare_stage(workspace: Workspace, corpus: str) -> None:
    """Pack one dataset at one rate, or record why there is none."""
    from benchmark.corpus.prepare import prepare_corpus
    from benchmark.corpus.standin import ensure_standin

    dataset, rate = split_corpus(corpus)
    with recorded(workspace, "prepare", corpus):
        found = read_json(workspace.scan(corpus))
        record = registry.load("dataset", dataset)
        workers = load_params(workspace.root).machine_of(workspace.profile).workers
        if found["data"] == "standin" and found["present"]:
            with remembered(workspace.cache):
                ensure_standin(record, workspace.standin(dataset))
        manifest = prepare_corpus(record, found, workspace, rate, workers)
        write_json(workspace.manifest(dataset, rate), manifest)


def plan_stage(workspace: Workspace) -> None:
    """Write every other stage's job."""
    with remembered(workspace.cache):
        make_plan(workspace).write()


def pretrain_stage(workspace: Workspace, run: str) -> None:
    """Pre-train one run."""
    from benchmark.pretraining.stage import pretrain

    job = read_job(PretrainJob, workspace.plan("pretrain", run))
    with recorded(workspace, "pretrain", run):
        if must_launch(job):
            launch(job.machine.ranks, ["pretrain", "--profile", workspace.profile, "--run", run])
            return
        measure = None
        if job.probe and job.status == "ready":
            from benchmark.evaluation.probe import IntraSetScore

            measure = IntraSetScore(job.probe, workspace)
        pretrain(job, workspace, measure=measure)


def evaluate_stage(workspace: Workspace, run: str) -> None:
    """Score one run."""
    from benchmark.evaluation.stage import evaluate

    job = read_job(EvaluateJob, workspace.plan("evaluate", run))
    with recorded(workspace, "evaluate", run):
        if must_launch(job):
            launch(job.machine.ranks, ["evaluate", "--profile", workspace.profile, "--run", run])
        else:
            evaluate(job, workspace)


def evaluate_shard(workspace: Workspace, run: str, shard: str) -> int:
    """Compute one share of a run's cells, ``<number>/<count>``, into the cache; returns how many there are in it."""
    from benchmark.evaluation.units import Shard, compute_shard

    chosen = Shard.parse(shard)
    return compute_shard(read_job(EvaluateJob, workspace.plan("evaluate", run)), workspace, chosen)


def aggregate_stage(workspace: Workspace) -> None:
    """Statistics over all runs of the profile."""
    from benchmark.statistics.aggregate import aggregate

    with recorded(workspace, "aggregate", workspace.profile):
        aggregate(read_job(ReportJob, workspace.plan("report", "aggregate")), workspace)


def tables_stage(workspace: Workspace, study: str) -> None:
    """Tables and figures of one study."""
    from benchmark.reporting.figures import render_figures
    from benchmark.reporting.published_tables import render_published_tables
    from benchmark.reporting.tables import render_tables

    with recorded(workspace, "tables", study):
        job = read_job(ReportJob, workspace.plan("report", "render"))
        render_tables(job, workspace, study)
        render_published_tables(workspace, study)
        render_figures(job, workspace, study)
        (workspace.results / "figures" / study).mkdir(parents=True, exist_ok=True)  # an output even where nothing ran


def report_stage(workspace: Workspace) -> None:
    """The HTML report."""
    from benchmark.reporting.report import report

    with recorded(workspace, "report", workspace.profile):
        report(read_job(ReportJob, workspace.plan("report", "render")), workspace)
