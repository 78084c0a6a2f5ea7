"""Scoring as an everyday act, from a terminal or a pipeline: `python -m jobs VERB`. Knows no Pulumi.

Exit codes: 0 the job completed (or the verb, where it is not about an end, did what it says), 1 it failed, 2 it was
cancelled, 3 wrong usage, or the request was refused or could not be made; 130 after Ctrl-C, as a shell has it.
"""

COMPLETED, FAILED, CANCELED, REFUSED, INTERRUPTED = 0, 1, 2, 3, 130
OF_STATUS = {"Completed": COMPLETED, "Failed": FAILED, "Canceled": CANCELED}
"""Status of an ended job -> exit code."""
