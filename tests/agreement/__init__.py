"""How often our verdict is the Collector's own: a corpus, what a real Collector made of it, and the comparison.

`corpus/` holds the cases, `cases.py` reads and mutates them, `verdicts.json` says what the real Collector made of each.
`python -m tests.agreement.record` asks the real Collector again, `python -m tests.agreement.report` prints where we
disagree, `python -m tests.agreement.page` writes docs/reference/validation-agreement.md.
"""
