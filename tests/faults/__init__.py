"""The fault suite: contract 5 holds while everything breaks (`make faults`).

- `system`: all processes around one Redis, `processes` one of them, `servers` what happens to Redis
- `changing_source`, `shop_tokens`, `bad_answers`: the source, and its wrong answers
- `network`: a proxy on each connection, and random faults on them
- `redis_snapshots`: a catalog at one moment, and where it disagrees with itself
- `catalog_checker`: follows a catalog from outside, without our code, and reports what is wrong
- `projection_checker`: does the same for the tables of the projections
- `scenario`: what happens to a catalog with a bug in our code (`test_planted`)
- `results_table`: records all runs, and writes the table of docs/faults.md
- `soak`: random faults for hours (`make soak`)

Each `test_…` module breaks one thing.
"""
