"""Mutation tests beyond those of mutmut; docs/mutants.md explains them."""
