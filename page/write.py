"""All plots on one page that needs no network, and the README's as SVG: `make plots`.

Reads metrics/, the tables and pictures in plots/, the templates in .dvc/plots and, through DVC,
the newest commit with another result. Writes dvc_plots/index.html, in which everything is
inlined, and plots/learning_curves.svg, confusion.svg and digits.svg.
"""

import json
import sys
from pathlib import Path

from page import html
from page.results import (
    METRICS,
    TRAINING,
    Changes,
    Spec,
    alone,
    changes,
    earlier_result,
    git,
    read_plots,
    rows_of,
)
from stages.lib import files
from stages.lib.errors import UserError, exit_with

PAGE = Path("dvc_plots/index.html")
TEMPLATE = Path(".dvc/plots/page.html")
STUDY = Path("metrics/study")
PLOTS = Path("plots")

LIBRARY = Path(sys.prefix) / "vega.js"  # in .venv, where page.html looks for it
LIBRARY_TAG = '<script src="../.venv/vega.js"></script>'
VEGA_LITE = "6.4"  # of those in vl-convert, the one that goes with its Vega


def vega() -> str:
    """Vega, Vega-Lite and vega-embed as one script; the first call takes seconds and keeps it."""
    if not LIBRARY.is_file():
        import vl_convert

        script = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", VEGA_LITE)
        files.write(LIBRARY, script.encode())
    return LIBRARY.read_text()


def frame() -> str:
    """The page around all plots, with Vega in it, so that it needs neither a network nor .venv."""
    return TEMPLATE.read_text().replace(LIBRARY_TAG, f"<script>{vega()}</script>")


def draw_pictures(specs: dict[str, Spec], template: str) -> None:
    """Each plot of the folder's results as SVG beside its table, in the light colours."""
    import vl_convert

    themes = template.partition('id="themes">')[2].partition("</script>")[0]
    config = json.loads(themes)["light"]
    for table, spec in specs.items():
        svg = vl_convert.vegalite_to_svg(alone(spec), vl_version=VEGA_LITE, config=config)
        files.write(Path(table).with_suffix(".svg"), svg.encode())


def learning(specs: dict[str, Spec], training: Spec) -> str:
    described = "Loss and accuracy by epoch. After epoch {epoch}: training loss {train_loss:.4f}"
    if "validation_loss" in training:
        described += ", validation loss {validation_loss:.4f}"
    return html.section(
        "learning",
        "Learning curves",
        "How loss and accuracy come about, epoch by epoch. Training images are augmented and seen "
        "with dropout, validation images as they are: so validation can come out ahead.",
        html.plot(
            "learning-curves",
            alone(specs["plots/learning_curves.csv"]),
            "Loss and accuracy after each epoch",
            "Both scales are logarithmic, so that the last epochs can be told apart.",
            described.format(**training),
        ),
    )


def mistakes(specs: dict[str, Spec], metrics: Spec) -> str:
    confusion, digits = alone(specs["plots/confusion.csv"]), alone(specs["plots/digits.csv"])
    wrong = [row for row in rows_of(confusion) if row["actual"] != row["predicted"]]
    often = max(wrong, key=lambda row: int(row["count"]))
    worst = max(rows_of(digits), key=lambda row: float(row["error_percent"]))
    return html.section(
        "mistakes",
        "What it misreads",
        f"{metrics['errors']:,} of {metrics['examples']:,} test images, scored once, after the "
        "last epoch.",
        '<div class="pair">',
        html.plot(
            "confusion",
            confusion,
            "Confusion matrix",
            "The more orange, the more images misread; the diagonal was read right.",
            f"Test images by digit and by what they were read as; the most frequent mistake: "
            f"{often['actual']} read as {often['predicted']}, {often['count']} times",
        ),
        html.plot(
            "digits",
            digits,
            "Errors by digit",
            "Errors are few, so the intervals are wide.",
            f"Share of test images misread, by digit, with 95 % intervals; the most: digit "
            f"{worst['digit']}, {float(worst['error_percent']):.2f} %",
        ),
        "</div>",
        html.picture(
            PLOTS / "worst_errors.png",
            "The worst errors",
            "What the digit is, what it was read as, and the loss; the worst first.",
            "Misread test digits, each with what it is, what it was read as, and its loss",
        ),
    )


def augmentation() -> str:
    return html.section(
        "augmentation",
        "What training sees",
        "Each epoch moves every training image anew; here with the first test image of each digit.",
        html.picture(
            PLOTS / "augmentation.png",
            "Originals and what augmentation makes of them",
            "Framed: the original. The strengths are those of <code>augment</code> in params.yaml.",
            "A row for each digit: the original, then nine augmented versions of it",
        ),
    )


def seeds() -> str:
    """The study's plot; nothing where no study is."""
    found = {path.stem: json.loads(path.read_text()) for path in sorted(STUDY.glob("*.json"))}
    if not found:
        return ""
    means = ", ".join(f"{name} {html.percent(each['mean'])}" for name, each in found.items())
    return html.section(
        "seeds",
        "Many seeds",
        "One seed says little. Each recipe in recipes/ is trained with many, and each is scored "
        "once.",
        html.picture(
            PLOTS / "study.png",
            "Test accuracy of every seed",
            f"Means: {means}.",
            f"Test accuracy of every seed of each recipe, with intervals of the means: {means}",
        ),
    )


def comparison(specs: dict[str, Spec], earlier: str | None, changed: Changes) -> str:
    """What changed since the earlier result, or a sentence on why there is none."""
    name, title = "changes", "What changed"
    if earlier is None:
        shallow = (git("rev-parse", "--is-shallow-repository") or "").strip() == "true"
        reason = (
            "This clone is shallow and holds no earlier result; "
            "<code>git fetch --unshallow</code> fetches them, then run <code>make plots</code>."
            if shallow
            else "No commit holds another result to compare with."
        )
        return html.section(name, title, reason)
    subject = (git("log", "-1", "--format=%s", earlier) or "").strip()
    return html.section(
        name,
        title,
        f"Before: commit <code>{earlier}</code>, “{html.escape(subject)}”, the newest with another "
        f"<code>{METRICS}</code>. Now: this folder.",
        html.change_tables(changes("params", earlier) | changed),
        html.plot(
            "both-learning-curves",
            specs["plots/learning_curves.csv"],
            "Learning curves, before and now",
            "Dashed: before.",
            f"Loss and accuracy by epoch, now and at commit {earlier}",
        ),
        html.plot(
            "both-digits",
            specs["plots/digits.csv"],
            "Errors by digit, before and now",
            "Grey: before.",
            f"Share of test images misread, by digit, now and at commit {earlier}",
        ),
    )


def main() -> None:
    for path in (METRICS, TRAINING):
        if not path.is_file():
            raise UserError(f"{path}: no such file; `make repro` makes it")
    metrics, training = json.loads(METRICS.read_text()), json.loads(TRAINING.read_text())
    earlier = earlier_result()
    specs = read_plots(earlier)
    changed = changes("metrics", earlier) if earlier else {}
    sections = [
        html.headline(metrics, training, changed),
        learning(specs, training),
        mistakes(specs, metrics),
        augmentation(),
        seeds(),
        comparison(specs, earlier, changed),
    ]
    parts = {
        "{scripts}": "",
        "{refresh_tag}": "",
        "{plot_divs}": html.contents(sections) + "\n".join(sections),
    }
    filled = frame()
    for place, text in parts.items():
        filled = filled.replace(place, text)
    files.write(PAGE, filled.encode())
    draw_pictures(specs, TEMPLATE.read_text())
    print(PAGE.resolve().as_uri())


if __name__ == "__main__":
    exit_with(main)
