"""How a session of the tests runs: its order, and its report."""
