"""Embeddings, heads, nearest neighbours, metrics and the evaluation stage."""
