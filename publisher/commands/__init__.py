"""The commands of `category-publisher` (contract, 7): options, output and exit codes, no more.

May import everything of publisher; nothing imports it but `publisher.cli`, which loads it by name.
"""
