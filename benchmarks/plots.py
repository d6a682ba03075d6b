"""What is drawn of results, as SVG."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.report import Folder

_OURS, _OTHERS = "#2f6f4f", "#9aa5b1"


def _is_ours(name: str) -> bool:
    return "Upstream" in name


def bars(name: str, values: Mapping[str, float], label: str, ours: Callable[[str], bool] = _is_ours) -> None:
    """Draw a bar for each, the lowest on top."""
    plt = _pyplot()
    ordered = sorted(values.items(), key=lambda item: -item[1])
    figure, axes = plt.subplots(figsize=(8, 0.4 * len(ordered) + 1.2), layout="constrained")
    names = [item[0] for item in ordered]
    colours = [_OURS if ours(item) else _OTHERS for item in names]
    drawn = axes.barh(names, [item[1] for item in ordered], color=colours)
    axes.bar_label(drawn, fmt="%.2f", padding=3)
    axes.axvline(1, color="black", linewidth=0.8, linestyle=":")
    axes.set_xlabel(label)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(Folder.path / f"{name}.svg", metadata={"Date": None})
    plt.close(figure)


def lines(name: str, sizes: Sequence[int], values: Mapping[str, Sequence[float]], label: str) -> None:
    """Draw a line for each over the number of credentials, both axes logarithmic."""
    plt = _pyplot()
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    for what, figures in values.items():
        axes.plot(sizes[: len(figures)], figures, marker="o", label=what)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("credentials")
    axes.set_ylabel(label)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    figure.savefig(Folder.path / f"{name}.svg", metadata={"Date": None})
    plt.close(figure)


def _pyplot() -> Any:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "jwt_upstream"
    import matplotlib.pyplot as plt

    return plt
