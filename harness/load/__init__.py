"""Locust in a process of its own, and the record of every request."""
