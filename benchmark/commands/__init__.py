"""Commands that a person asks of the suite, one module a topic."""
