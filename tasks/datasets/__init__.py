"""Datasets: one module a dataset, exposed as ``DATASET``."""
