"""Turn the four IDX files into three checked, self-describing splits.

Reads data/raw/*.gz and `preprocess` of params.yaml. Writes data/prepared/train.safetensors,
validation.safetensors and test.safetensors: images uint8 `(N, 28, 28)`, labels uint8 `(N,)`
and the normalisation of the training split.
"""

import sys

from digits.core import config, split
from digits.core.entry_point import run_stage
from digits.sources import preprocess
from stages import paths


def main() -> None:
    parameters = config.read(paths.PARAMETERS).preprocess

    train, validation = preprocess.training_splits(paths.RAW, parameters)
    test = preprocess.test_split(paths.RAW, train.normalisation)

    split.save(paths.TRAIN, train)
    split.save(paths.VALIDATION, validation)
    split.save(paths.TEST, test)
    print(
        f"preprocess: {len(train):,} training, {len(validation):,} validation and "
        f"{len(test):,} test images",
        file=sys.stderr,
    )


if __name__ == "__main__":
    run_stage(main)
