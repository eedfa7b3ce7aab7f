"""Waveform batches to crops, views and log-mels, on the device."""
