"""Archives to clips tables to packed waveforms on disk. Free of torch."""
