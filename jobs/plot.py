"""The distribution of a column of predictions, as a picture. matplotlib is an extra: it is imported here alone."""

from pathlib import Path

from jobs.results import OTHERS, Column
from providers.aml.refusal import Refusal

_BARS = 20
"""Different values up to which each has a bar of its own."""


def refuse_without_matplotlib(file: Path) -> None:
    """To be called before anything is fetched. Raises Refusal that says how to install it, or what else is wrong."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise Refusal(
            "--plot needs matplotlib, which is not installed here: it is the extra `plot` of this project "
            "(`pip install matplotlib`)",
            name="matplotlib-missing",
        ) from None
    if file.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise Refusal(f"--plot: must be a .png, .svg or .pdf file, got {str(file)!r}", name="usage")
    if not file.resolve().parent.is_dir():
        raise Refusal(f"--plot: there is no folder {file.resolve().parent}", name="usage")


def draw(column: Column, file: Path, *, title: str) -> None:
    """Bars of a column's values, or a histogram where it has many different numbers."""
    from matplotlib.figure import Figure  # not pyplot: no window system is asked for

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    if column.are_numbers and len(column.texts) > _BARS:
        axes.hist(column.numbers, bins="auto", color="#0078d4", edgecolor="white")
    else:
        labels, counts = bars(column)
        drawn = axes.bar(labels, counts, color="#0078d4")
        axes.bar_label(drawn, fontsize=8)
        if any(len(label) > 6 for label in labels):
            axes.tick_params(axis="x", rotation=45)
    axes.set_xlabel(column.name)
    axes.set_ylabel("rows")
    axes.set_title(title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=120)


def bars(column: Column) -> tuple[list[str], list[int]]:
    """Values with their counts: numbers in order of value, texts with the most frequent first and the rest together."""
    if column.are_numbers:
        ordered = sorted(column.texts.items(), key=lambda pair: float(pair[0]) if pair[0].strip() else float("inf"))
        return [value for value, _ in ordered], [count for _, count in ordered]
    common = column.texts.most_common(_BARS)
    rest = column.texts.total() - sum(count for _, count in common)
    common += [(OTHERS, rest)] if rest else []
    return [_short(value) for value, _ in common], [count for _, count in common]


def _short(text: str) -> str:
    return text if len(text) <= 24 else f"{text[:23]}…"
