"""What publisher and consumers both need to run: configuration, logging, a way to Redis.

Nothing here knows the contract's keys, events or rules. `publisher` and `consumers` never
import each other; this package is all that they share.
"""
