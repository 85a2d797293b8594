"""What both command lines share: lazy loading, options, signals, exit codes."""
