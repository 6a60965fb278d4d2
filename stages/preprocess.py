"""Turn four IDX files, or a folder of pictures, into three checked, self-describing splits.

Reads data/raw/*.gz or, if download.source is folder, data/pictures; and `preprocess` and
`download.source` of params.yaml. Writes data/prepared/train.safetensors, validation.safetensors and
test.safetensors: raw images and labels uint8, their shape and the names of the classes, and the
normalisation of the training split; data/prepared/files.csv, the file of every picture in a folder,
in the order of the splits; and plots/data.csv, how many images of each class are in which split.
"""

import sys

import pandas as pd

from digits.core import config, files, split
from digits.core.entry_point import run_stage
from digits.core.split import Split
from digits.sources import preprocess
from digits.sources.preprocess import Prepared
from stages import paths

FEW = 10  # images of a class, below which a network hardly learns it
SPLITS = ("train", "validation", "test")


def counts(prepared: Prepared) -> pd.DataFrame:
    """The images of each class in each split."""
    classes = prepared.train.shape.classes
    parts: list[Split] = [prepared.train, prepared.validation, prepared.test]
    table = {
        name: part.labels.long().bincount(minlength=len(classes)).tolist()
        for name, part in zip(SPLITS, parts, strict=True)
    }
    return pd.DataFrame({"class": classes, **table})


def warn(table: pd.DataFrame) -> None:
    """Say which classes have few images, or none that tests them."""
    few = table[table["train"] < FEW]
    for problem, rows in (
        (f"fewer than {FEW} training images", few),
        ("no test image", table[table["test"] == 0]),
    ):
        if len(rows):
            names = ", ".join(rows["class"][:10]) + ", ..." * (len(rows) > 10)
            print(f"preprocess: warning: {problem}: {names}", file=sys.stderr)


def main() -> None:
    parameters = config.read(paths.PARAMETERS)

    prepared = preprocess.prepare(parameters, paths.RAW, paths.PICTURES)
    table = counts(prepared)
    parts = [
        pd.DataFrame({"split": part, "file": names})
        for part, names in zip(SPLITS, prepared.files, strict=True)
    ]

    split.save(paths.TRAIN, prepared.train)
    split.save(paths.VALIDATION, prepared.validation)
    split.save(paths.TEST, prepared.test)
    files.write(paths.FILES, pd.concat(parts).to_csv(index=False).encode())
    files.write(paths.DATA, table.to_csv(index=False).encode())
    warn(table)
    train, validation, test = (f"{total:,}" for total in table[list(SPLITS)].sum())
    print(
        f"preprocess: {train} training, {validation} validation and {test} test images of "
        f"{prepared.train.shape}",
        file=sys.stderr,
    )


if __name__ == "__main__":
    run_stage(main)
