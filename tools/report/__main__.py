"""All results on one page that needs no network: `make plots`.

Reads metrics/, the tables and pictures in plots/ and, through DVC, the newest commit with
different results. Writes dvc_plots/index.html, dvc_plots/vega.js and, for the README,
plots/learning_curves.svg, confusion.svg, classes.svg and reliability.svg. The words and markup of
the page are in page.html.jinja.
"""

import base64
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined, UndefinedError

from digits.core import config, files
from digits.core.errors import UserError, exit_with
from stages import paths
from tools.conflicts import refuse_conflicts
from tools.git import git
from tools.report import page, results, study
from tools.report.results import TABLES, Spec, rows_of

PAGE = Path("dvc_plots/index.html")


def read(path: Path) -> dict[str, Any]:
    """A JSON file with its details among the rest; empty if it is missing."""
    return files.read_metrics(path) if path.is_file() else {}


def flat(sections: dict[str, Any], prefix: str = "") -> list[list[str]]:
    """Names such as `train.epochs` and their values, in the order of params.yaml."""
    rows: list[list[str]] = []
    for key, value in sections.items():
        if isinstance(value, dict):
            rows += flat(value, f"{prefix}{key}.")
        else:
            rows.append([f"{prefix}{key}", "null" if value is None else str(value)])
    return rows


def variables(earlier: str | None, now: dict[str, Spec], both: dict[str, Spec]) -> dict[str, Any]:
    """What the template shows; `now` and `both` are plots without and with the earlier result."""
    errors = [row for row in rows_of(now["confusion"]) if row["actual"] != row["predicted"]]
    pictures = {path.stem: path.read_bytes() for path in Path("plots").glob("*.png")}
    return {
        "metrics": read(paths.TEST_METRICS),
        "training": read(paths.TRAIN_METRICS),
        "study": read(paths.STUDY),
        "study_plots": study.plots(),
        "now": now,
        "both": both,
        "commonest_error": max(errors, key=lambda row: int(row["count"]), default=None),
        "counts": pd.read_csv(paths.DATA).to_dict("records"),
        "worst_class": max(rows_of(now["classes"]), key=lambda row: float(row["error_percent"])),
        "pictures": {name: base64.b64encode(png).decode() for name, png in pictures.items()},
        "earlier": earlier,
        "subject": git("log", "-1", "--format=%s", earlier).strip() if earlier else "",
        "changes": results.read_changes(earlier) if earlier else {},
        "images": results.compare_images(earlier) if earlier else {},
        "history": results.history(),
        "parameters": flat(config.read(paths.PARAMETERS).model_dump()),
        "shallow": git("rev-parse", "--is-shallow-repository").strip() == "true",
    }


def render(values: dict[str, Any]) -> str:
    """The body of the page."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    try:
        return environment.get_template("page.html.jinja").render(values)
    except UndefinedError as error:
        raise UserError(f"metrics/: incomplete: {error.message}; `make repro` makes them") from None


def main() -> None:
    """Write the page and the SVGs."""
    refuse_conflicts()
    results.require_results()
    earlier = results.earlier_commit()
    both = results.read_plots(earlier)
    now = {name: results.only_now(spec) for name, spec in both.items()}
    files.write(PAGE.with_name("vega.js"), page.vega().encode())  # for the pages that dvc writes
    files.write(PAGE, page.page(render(variables(earlier, now, both))).encode())
    for table in TABLES:
        files.write(table.with_suffix(".svg"), page.svg(now[table.stem]).encode())
    print(PAGE.resolve().as_uri())


if __name__ == "__main__":
    exit_with(main)
