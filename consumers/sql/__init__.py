"""Projections in SQL databases: the tables of contract 8, and the checkpoint beside the data.

`database` opens one, `tables` says what is in it, `checkpoint` moves a projection's data and
checkpoint together, `categories` reads and writes the copy of a tree.
"""
