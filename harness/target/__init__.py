"""A stack to test, known by its doors alone."""
