"""Verifiers: one claim family a file; pure functions of the record."""
