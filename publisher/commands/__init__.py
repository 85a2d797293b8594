"""The commands of `category-publisher` (contract, 7): options, output and exit codes, no more."""
