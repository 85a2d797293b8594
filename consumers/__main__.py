"""`python -m consumers` is `category-consumer`."""

from consumers.cli import main

main()
