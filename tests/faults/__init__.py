"""The fault suite: what contract 5 promises, shown while everything breaks (`make faults`).

One module a step:

- `contract` spells the contract out once more, `looks` says what in a catalog disagrees with itself;
- `checker` judges: it follows one catalog from outside, and knows none of our code;
- `copies` does the same for the tables that the projections keep;
- `upstream` is the source, `world` all the processes around one Redis, `processes` what they are;
- `story` is what a copy of our code with a planted bug is told with;
- `book` keeps what every run came to, and writes the table of docs/faults.md;
- the `test_…` modules each break one thing: they say what, and nothing else.
"""
