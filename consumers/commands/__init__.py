"""The commands of `category-consumer` (contract, 7).

They hold options, output and exit codes, no more.
"""
