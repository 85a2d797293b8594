"""The commands of `category-consumer` (contract, 7): options, output and exit codes, no more."""
