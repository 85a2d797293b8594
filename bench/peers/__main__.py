"""Measures the peers, prints a table: `python -m bench.peers --categories 100000`."""

import argparse

from bench.peers.run import PEERS, measure_peers, table


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--categories", type=int, default=100_000)
    parser.add_argument(
        "--only", choices=PEERS, action="append", help="only this peer; may be repeated"
    )
    options = parser.parse_args()
    print(table(measure_peers(options.categories, options.only or ())))


if __name__ == "__main__":
    main()
