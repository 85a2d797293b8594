"""Benchmarks, run by hand: ours and a floor alternate; their ratio counts."""
