"""Reports: one format a file; pure functions of the record."""
