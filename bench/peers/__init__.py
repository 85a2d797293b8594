"""The peers: other tools for the same job, on the same input and machine.

`run` starts the servers, writes the input and runs the peers one after another; it runs in the main
environment. Each other module with a `main` is one peer. It runs in a process of its own and, ours
aside, in `.venv/bench`, so that none of it is shipped.

    make .venv/bench
    .venv/bin/python -m bench.peers --categories 100000
"""
