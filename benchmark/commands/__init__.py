"""Commands by topic, for the command line to register."""
