"""What people would use instead of us, on the same input and machine, in an environment of its own.

`run` starts the servers, writes the input and lets the peers work one after another; it runs in the
main environment. Each other module with a `main` is one peer and runs in `.venv/bench` (of its own:
none of it gets into what is shipped), in a process of its own.

    make .venv/bench
    .venv/bin/python -m bench.peers --categories 100000
"""
