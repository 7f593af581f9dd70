"""Chaos Toolkit in a process of its own, the undo journal and its watchdog."""
