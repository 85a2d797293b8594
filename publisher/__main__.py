"""`python -m publisher` is `category-publisher`."""

from publisher.cli import main

main()
