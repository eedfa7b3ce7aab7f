"""Plugins of the benchmark from outside its tree, one module each; pyproject.toml declares them."""
