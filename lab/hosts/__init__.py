"""Network namespaces, programs, and the sweep that leaves nothing behind."""
