"""Benchmarks that measure speed side by side with the usual way; each prints one JSON object."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does; read when torch loads
