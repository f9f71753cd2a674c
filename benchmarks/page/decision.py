"""The decision picture of docs/is_this_for_me.md, an SVG drawn from the table of questions below.

    python benchmarks/page/decision.py

writes docs/pictures/decision.svg. It is narrow, so that it can be read on a phone, and brings its
own background, so that it can be read in dark mode.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import NamedTuple

__all__ = ["QUESTIONS", "draw"]

PICTURE = Path(__file__).parents[2] / "docs" / "pictures" / "decision.svg"

WIDTH, MARGIN, GAP = 460, 12, 30
QUESTION_WIDTH, ANSWER_LEFT = 186, 242
LINE, PAD = 19, 11
INK, MUTED, PAPER = "#1b2430", "#5a6675", "#ffffff"
ASK, OURS, OTHERS = ("#eef2f7", "#9aa8b8"), ("#dcebfb", "#3573b1"), ("#f4e9d8", "#b07a2c")


class Question(NamedTuple):
    """A question, what to use if the answer is yes, and whether that is of this package."""

    asked: tuple[str, ...]
    use: tuple[str, ...]
    why: tuple[str, ...]
    ours: bool = True


QUESTIONS = (
    Question(
        ("Are there labels of", "normal rows and", "faults in the very", "data to be scored?"),
        ("a classifier",),
        ("such as gradient", "boosting, on these labels"),
        ours=False,
    ),
    Question(
        ("Are the rows images,", "and do you ask where", "the defect is?"),
        ("ZeroShotSegmenter",),
        ("or, with a few of its", "images, FewShotSegmenter"),
    ),
    Question(
        ("Is there no normal", "data set but the", "batch itself?"),
        ("IsolationForest or kNN",),
        ("refitted on each batch",),
        ours=False,
    ),
    Question(
        ("Is there one normal", "data set, and no", "second of its kind?"),
        ("OutlierSynthesisDetector",),
        ("or kNN, which is ahead", "on 13 of 26 sets"),
    ),
    Question(
        (
            "Do rows come one at a",
            "time, with 1 to some",
            "dozens of normal rows",
            "to compare with?",
        ),
        ("ResADDetector",),
        ("adapt(X_ref), nothing", "is trained again"),
    ),
    Question(
        ("One at a time, with", "more rows than that", "to compare with?"),
        ("ZeroShotACRDetector", ".adapt(X_ref)"),
        ("its threshold needs 128",),
    ),
    Question(
        ("Are faults known in", "four or more of the", "training data sets?"),
        ("ZeroShotACRDetector", ".fit(known_anomalies=)"),
        ("learns from faults of", "other machines"),
    ),
)
LAST = Question(
    (),
    ("ZeroShotACRDetector",),
    (
        "trained once on several normal data sets; each new",
        "batch, mostly normal, is scored as it comes",
    ),
)


def draw() -> str:
    """Return the picture as the text of an SVG file."""
    parts: list[str] = []
    top = MARGIN
    for number, question in enumerate(QUESTIONS):
        top = _row(parts, top, question)
        if number < len(QUESTIONS) - 1:
            _arrow_down(parts, top, "no")
        else:
            _arrow_down(parts, top, "no: batches of new data sets")
        top += GAP
    height = _box(parts, MARGIN, top, WIDTH - 2 * MARGIN, LAST.use, LAST.why, OURS)
    top += height + 2 * LINE
    _legend(parts, top)
    total = top + MARGIN
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {total}" width="{WIDTH}" '
        f'height="{total}" role="img" font-family="Helvetica, Arial, sans-serif" font-size="15">'
    )
    title = "<title>Which detector for which situation: seven questions with yes and no</title>"
    marker = (
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        f'markerHeight="7" orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="{MUTED}"/>'
        "</marker></defs>"
    )
    paper = f'<rect width="{WIDTH}" height="{total}" rx="10" fill="{PAPER}"/>'
    return "\n".join([opening, title, marker, paper, *parts, "</svg>", ""])


def _row(parts: list[str], top: int, question: Question) -> int:
    """Draw a question with its answer beside it; return where the row ends."""
    asked_height = LINE * len(question.asked) + 2 * PAD
    answer_height = LINE * (len(question.use) + len(question.why)) + 2 * PAD
    height = max(asked_height, answer_height)
    _box(parts, MARGIN, top, QUESTION_WIDTH, (), question.asked, ASK, height)
    colours = OURS if question.ours else OTHERS
    answer_width = WIDTH - MARGIN - ANSWER_LEFT
    _box(parts, ANSWER_LEFT, top, answer_width, question.use, question.why, colours, height)
    middle = top + height / 2
    start = MARGIN + QUESTION_WIDTH
    parts.append(_line(start, middle, ANSWER_LEFT - 1, middle))
    parts.append(_text(start + 8, middle - 6, "yes", MUTED, bold=True))
    return top + height


def _box(
    parts: list[str],
    left: int,
    top: int,
    width: int,
    bold: tuple[str, ...],
    plain: tuple[str, ...],
    colours: tuple[str, str],
    height: int | None = None,
) -> int:
    """Draw a box with bold lines above plain ones, centred in its height; return the height."""
    lines = [(line, True) for line in bold] + [(line, False) for line in plain]
    height = height or LINE * len(lines) + 2 * PAD
    fill, edge = colours
    parts.append(
        f'<rect x="{left}" y="{top}" width="{width}" height="{height}" rx="7" fill="{fill}" '
        f'stroke="{edge}" stroke-width="1.5"/>'
    )
    first = top + (height - LINE * len(lines)) / 2 + 14
    for number, (line, is_bold) in enumerate(lines):
        parts.append(_text(left + 10, first + LINE * number, line, INK, bold=is_bold))
    return height


def _arrow_down(parts: list[str], top: int, label: str) -> None:
    x = MARGIN + 40
    parts.append(_line(x, top, x, top + GAP - 1))
    parts.append(_text(x + 10, top + 20, label, MUTED, bold=True))


def _legend(parts: list[str], baseline: int) -> None:
    for left, colours, label in ((MARGIN, OURS, "this package"), (170, OTHERS, "another one")):
        parts.append(
            f'<rect x="{left}" y="{baseline - 13}" width="16" height="16" rx="3" '
            f'fill="{colours[0]}" stroke="{colours[1]}" stroke-width="1.5"/>'
        )
        parts.append(_text(left + 24, baseline, label, INK))


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return (
        f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="{MUTED}" '
        'stroke-width="1.5" marker-end="url(#tip)"/>'
    )


def _text(x: float, y: float, line: str, colour: str, *, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:g}" y="{y:g}" fill="{colour}"{weight}>{escape(line)}</text>'


if __name__ == "__main__":
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(draw(), encoding="utf-8")
    print(f"Wrote {PICTURE}.")
