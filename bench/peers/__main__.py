"""Measures the peers and prints a table: `python -m bench.peers --categories 100000`."""

import argparse

from bench.peers.run import PEERS, measured, table


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--categories", type=int, default=100_000)
    parser.add_argument("--only", choices=PEERS, action="append", help="this peer; repeatable")
    options = parser.parse_args()
    print(table(measured(options.categories, options.only or ())))


if __name__ == "__main__":
    main()
