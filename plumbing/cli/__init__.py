"""What both command lines share: lazy imports, options, signals and exit codes.

Imports: the rest of plumbing.
"""
