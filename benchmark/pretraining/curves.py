"""Training curves as TSV files, one a scalar, written by DVCLive."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmark.errors import StorageError
from benchmark.launch import is_main
from benchmark.pretraining.checkpoint import History


class Curves:
    """Scalars by step in ``folder/plots/metrics/<name>.tsv``, the latest values in ``folder/metrics.json``.

    The files are a function of the logged scalars alone: nothing in them is timed, and a resumed run first writes the
    history of its checkpoint again, so that rows logged after that checkpoint are not repeated.

    Args:
        folder: created; curves of an earlier run in it are replaced.
        history: what was logged before.
    """

    def __init__(self, folder: Path, history: History) -> None:
        from dvclive.live import Live

        self._live: Live | None = None
        if is_main():
            self._live = Live(dir=str(folder), save_dvc_exp=False, dvcyaml=None, report=None, monitor_system=False)
        for entry in history:
            self.log(entry)

    def log(self, entry: Mapping[str, float]) -> None:
        """Add the scalars of one step; ``entry["step"]`` is the number of completed steps. Of several ranks the first writes.

        Raises:
            StorageError: the disk is full or cannot be written.
        """
        if self._live is None:
            return
        self._live.step = int(entry["step"])
        try:
            for name in sorted(entry.keys() - {"step"}):
                self._live.log_metric(name, entry[name])
            # Not next_step or end: they would also look for a Git repository and a server.
            self._live.make_summary()  # type: ignore[no-untyped-call]
        except OSError as error:
            where = f"Cannot write the curves in {self._live.dir}"
            raise StorageError(f"{where}: {error.strerror}; free space and run the same command again.") from error
