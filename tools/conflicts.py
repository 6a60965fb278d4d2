"""The marks that a merge leaves where both branches have changed a line."""

from pathlib import Path

from digits.core.errors import UserError

TRACKED = (
    "params.yaml",
    "dvc.yaml",
    "dvc.lock",
    "recipes/*",
    "metrics/**/*",
    "plots/*",
    "models/*.md",
)
BEGINNING = b"<<<<<<< "


def refuse_conflicts() -> None:
    """Raise a UserError that names every parameter file and result with a conflict in it."""
    files = sorted(path for pattern in TRACKED for path in Path().glob(pattern) if path.is_file())
    torn = [str(path) for path in files if _has_conflict(path.read_bytes())]
    if torn:
        raise UserError(
            f"{', '.join(torn)}: a merge has left its conflict here; docs/experiments.md, "
            '"Merge two branches", shows the way out'
        )


def _has_conflict(content: bytes) -> bool:
    return content.startswith(BEGINNING) or b"\n" + BEGINNING in content
