"""The pieces of the page, as HTML."""

import base64
import json
import re
from html import escape
from pathlib import Path
from typing import Any

from page.results import METRICS, TRAINING, Changes, Spec, rows_of


def section(name: str, title: str, lead: str, *parts: str) -> str:
    return (
        f'<section aria-labelledby="{name}"><h2 id="{name}">{title}</h2><p>{lead}</p>'
        f"{''.join(parts)}</section>"
    )


def contents(sections: list[str]) -> str:
    """Links to the sections."""
    found = re.findall(r'<h2 id="([^"]+)">(.*?)</h2>', "".join(sections))
    links = "".join(f'<li><a href="#{name}">{title}</a></li>' for name, title in found)
    return f'<nav aria-label="Sections"><ul>{links}</ul></nav>'


def plot(name: str, spec: Spec, caption: str, note: str, described: str) -> str:
    """A figure whose plot the page draws when it is opened, with its rows as a table."""
    spec = {key: value for key, value in spec.items() if key != "title"}
    script = json.dumps(spec | {"description": described}).replace("</", "<\\/")
    kept = [key for key in rows_of(spec)[0] if key not in ("filename", "field")]
    body = [[row.get(key, "") for key in kept] for row in rows_of(spec)]
    if all(row["rev"] == "now" for row in rows_of(spec)):
        kept, body = kept[:-1], [row[:-1] for row in body]
    return (
        f"<figure>{figcaption(caption, note)}"
        f'<div id="{name}"></div><script>vegaEmbed("#{name}", {script});</script>'
        f"<details><summary>The numbers</summary>{table(caption, kept, body)}</details></figure>"
    )


def picture(path: Path, caption: str, note: str, described: str) -> str:
    """A figure of a PNG; where it has no room, it scrolls by itself. Nothing without the file."""
    if not path.is_file():
        return ""
    packed = base64.b64encode(path.read_bytes()).decode()
    return (
        f"<figure>{figcaption(caption, note)}"
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f'<img src="data:image/png;base64,{packed}" alt="{escape(described)}"></div></figure>'
    )


def figcaption(caption: str, note: str) -> str:
    return f"<figcaption><b>{caption}</b><small>{note}</small></figcaption>"


def table(name: str, heads: list[str], rows: list[list[str]]) -> str:
    """A table that scrolls by itself where it has no room; the first cell names its row."""
    head = "".join(f'<th scope="col">{escape(each)}</th>' for each in heads)
    body = "".join(
        f'<tr><th scope="row">{escape(first).replace("_", "_<wbr>").replace(".", ".<wbr>")}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in rest)
        + "</tr>"
        for first, *rest in rows
    )
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(name)}">'
        f"<table><caption>{escape(name)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def percent(share: float) -> str:
    return f"{100 * share:.2f}\N{NO-BREAK SPACE}%"


def headline(metrics: Spec, training: Spec, changes: Changes) -> str:
    """The headline metrics as cards: what was counted, on what, and what it changed by."""

    def card(name: str, value: str, note: str, change: str = "") -> str:
        small = "".join(f"<small>{escape(each)}</small>" for each in (note, change) if each)
        return f"<div><dt>{name}</dt><dd>{value}{small}</dd></div>"

    def since(file: Path, key: str, scale: float, unit: str) -> str:
        change = changes.get(str(file), {}).get(key, {}).get("diff")
        return f"{signed(round(scale * change, 2))}{unit} since before" if change else ""

    cards = [
        card(
            "Test accuracy",
            percent(metrics["accuracy"]),
            f"95 % interval {100 * metrics['accuracy_low']:.2f} to "
            + percent(metrics["accuracy_high"]),
            since(METRICS, "accuracy", 100, " points"),
        ),
        card(
            "Misread",
            f"{metrics['errors']:,}",
            f"of {metrics['examples']:,} test images ({metrics['dataset']})",
            since(METRICS, "errors", 1, ""),
        ),
        card(
            "Parameters",
            f"{metrics['parameters']:,}",
            f"of a budget of {metrics['parameter_budget']:,}",
            since(METRICS, "parameters", 1, ""),
        ),
    ]
    if "validation_accuracy" in training:
        validation = card(
            "Validation accuracy",
            percent(training["validation_accuracy"]),
            f"after epoch {training['epoch']}",
            since(TRAINING, "validation_accuracy", 100, " points"),
        )
        cards.insert(2, validation)
    return f"<dl>{''.join(cards)}</dl>"


def signed(value: float) -> str:
    shown = f"{value:+,.4g}" if isinstance(value, float) else f"{value:+,}"
    return shown.replace("-", "\N{MINUS SIGN}")


def said(value: Any) -> str:
    if value is None:
        return "none"
    return f"{value:,.5g}" if isinstance(value, float) else str(value)


def change_tables(changes: Changes) -> str:
    """For each file a row for every value that changed: old, new and, of a number, the change."""
    tables: list[str] = []
    for file, found in changes.items():
        rows = [
            [
                name,
                said(each.get("old")),
                said(each.get("new")),
                signed(each["diff"]) if "diff" in each else "",
            ]
            for name, each in sorted(found.items(), key=lambda item: (item[0].count("."), item[0]))
        ]
        tables.append(table(f"What changed in {file}", ["Name", "Before", "Now", "Change"], rows))
    return f'<div class="tables">{"".join(tables)}</div>'
