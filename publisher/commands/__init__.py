"""The commands of `category-publisher`: options, output and exit codes only.

May import everything of publisher; nothing imports it but `publisher.cli`, which loads it by name.
"""
