"""Projections in SQL databases: the tables of the contract (8).

`database` opens one, `tables` defines its tables, `rows` reads and writes categories, `checkpoint`
moves data and checkpoint in one transaction. Imports `following` and `contract`.
"""
