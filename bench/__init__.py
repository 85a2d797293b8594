"""Benchmarks, run by hand: ratios against a floor in one run."""
