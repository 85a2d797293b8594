"""What publisher and consumers share.

It has configuration, command lines, logs and access to Redis. It knows nothing of the contract's
keys, events or rules, and imports neither of the two, which never import each other.
"""
