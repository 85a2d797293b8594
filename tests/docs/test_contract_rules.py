"""Every rule of docs/contract.md is shown by some test."""

from tests.docs.contract_rules import PAGE, marked_tests, rules, table


def test_every_rule_has_tests() -> None:
    """Each chapter from 2 on, and each rule of chapter 5, has a test's marker."""
    shown = {test.rule for test in marked_tests()}
    assert rules().keys() - shown == set()


def test_every_marker_names_a_rule() -> None:
    """No test is marked with a rule that the page does not have."""
    unknown = [test for test in marked_tests() if test.rule not in rules()]
    assert unknown == []


def test_the_table_of_the_page() -> None:
    """The page has the table that `tests.docs.contract_rules` writes.

    `.venv/bin/python -m tests.docs.contract_rules` updates it.
    """
    assert PAGE.read_text("utf-8").endswith(f"\n\n{table()}")
