"""The history of a catalog in SQL: each version of each category.

versions     which versions begin and end with events and resyncs; pure
tables       the tables `category_history` and `history_resyncs`
store        reads and writes both tables for one catalog
projection   records events and resyncs
reader       finds a position in the recorded history
query        reads the tree at a position, and the changes between two
output       prints trees and changes

May import `consumers.sql`, `consumers.following` and `consumers.contract`. The tables are described
in docs/history.md.
"""
