"""Mappings: a user's own categories, linked one to one with those of a catalog.

model, judge, tree    what a mapping is, and what the tree's changes mean for it; pure
similar, candidates   which leaves an own category may belong to; pure
linking               what the user's links come to, or why they are refused; pure
sheet, own, foreign   own categories from CSV or from a table of the user's
tables, store         the table `mappings`, and who reads and writes it
projection            keeps the mappings' states in step with the catalog
desk                  what a user does: import, link, unlink, remove, look
show                  what the commands print
"""
