"""A tour of the product in eight short tests.

Read them in the order of their numbers.
"""
