"""Campaigns that measure what is claimed; run each with ``python -m benchmarks.NAME`` from the repository root."""
