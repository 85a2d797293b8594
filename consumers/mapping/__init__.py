"""Mappings: a user's own categories, each linked with a catalog's category.

model, evaluate, tree  what a mapping is, and what changes of the tree mean for it; pure
suggest                which leaves an own category may be linked with; pure
linking                checks links that a user requests; pure
csv_table, sql_table   read own categories from CSV, or from a table of the user's
own_categories         checks own categories; pure
tables, store          the table `mappings`, and its reading and writing
projection             keeps the states of the mappings in sync with the catalog
service                what a user does: import, link, unlink, remove, read
output                 formats what the commands print

May import `consumers.sql`, `consumers.following` and `consumers.contract`.
"""
