"""How well audits tell honest work from false: measured with the embedded model, written as a document.

Is: `python -m tests.audit_table`, which runs honest miners and auditors of several configurations and every
cheat of `tests/cheats/`, and writes `README.md` of this folder. Is not: a test; its small form is one.
"""
