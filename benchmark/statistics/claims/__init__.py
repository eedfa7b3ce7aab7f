"""The papers' empirical claims as statements that a score table makes true, false, or says nothing about."""
