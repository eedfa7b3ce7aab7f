"""Normalised accuracy, bootstrap, tests: pure functions with stated shapes. Free of torch."""
