"""Errors that name their own entry in the table of explanations (providers/explanations.py)."""


class Named(Exception):  # it is what its subclasses are, not a failure by itself
    """`name` is its entry in the table."""

    name: str


class Refusal(Named):
    """A request that this project will not carry out, or whose outcome is not what was asked; it says what to do."""

    def __init__(self, message: str, *, name: str) -> None:
        super().__init__(message)
        self.name = name
