"""Gameday: does a Kubernetes stack hold when things break under load?"""
