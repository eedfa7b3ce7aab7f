"""Encoders: one module a network, exposed as ``ENCODER``."""
