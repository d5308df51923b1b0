"""The table: one row for each feature, some with a second for its other half."""

from matrix import cases_talk, cases_tools

CASES = [*cases_talk.CASES, *cases_tools.CASES]
assert len({case.name for case in CASES}) == len(CASES)
