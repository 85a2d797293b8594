"""A tour of the product in eight short tests, to be read in the order of their numbers."""
