"""Whether the model is one of the current parameters and data: a part of `make verify`.

Reads params.yaml, models/ and data/prepared/. DVC itself cannot tell: `dvc commit` and
`dvc exp save` write down whatever is there.
"""

from digits.core import config
from digits.core.errors import exit_with
from digits.network import model_origin
from stages import paths


def main() -> None:
    data = [paths.TRAIN, paths.VALIDATION]
    if not all(path.is_file() for path in (paths.MODEL, *data)):
        return  # there is nothing here to compare
    parameters = config.read(paths.PARAMETERS)
    sections = [parameters.model, parameters.augment, parameters.train]
    model_origin.check(paths.ORIGIN, paths.MODEL, sections, data)


if __name__ == "__main__":
    exit_with(main)
