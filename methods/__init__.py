"""Pretext methods: one module a method, exposed as ``METHOD``."""
