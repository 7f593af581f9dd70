"""A whole stack on one machine, to try the harness on. The harness never imports it."""
