"""Benchmarks, run by hand: ours and a floor alternate in one run, and their ratio counts."""
