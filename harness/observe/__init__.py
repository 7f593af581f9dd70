"""Collectors: one source of evidence a file."""
