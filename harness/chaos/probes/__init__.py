"""Probes for steady state hypotheses, one a file. Having nothing to look at is never a pass."""
