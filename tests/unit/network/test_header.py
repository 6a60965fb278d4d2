"""The header that is read without pydantic is the one that pydantic describes."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from digits.core.config import Architecture
from digits.core.split import Normalisation
from digits.core.tensor_file import HeaderError
from digits.network import header
from digits.network.model_file import ModelHeader

ARCHITECTURE = {"blocks": [8, "pool"], "bias_free": True, "hidden": 32, "dropout": 0.4}
NORMALISATION = {"mean": 0.13, "std": 0.31}
SHAPE = {"size": 64, "channels": 3, "classes": ["a b", "é", "犬"], "fit": "pad"}


def text_of(**changes: object) -> str:
    """A header as JSON, with values of its parts replaced, or with a new part."""
    content: dict[str, Any] = {"architecture": ARCHITECTURE, "normalisation": NORMALISATION}
    for key, value in changes.items():
        part = next((name for name in content if key in content[name]), None)
        content |= {part: content[part] | {key: value}} if part else {key: value}
    return json.dumps(content)


@pytest.mark.parametrize(
    ("key", "right", "wrong"),
    [
        (
            "blocks",
            [[1], [1024], ["pool", "8 valid"], [4] * 32],
            [[], [0], [1025], [1.5], [True], [None], [[1]], [4] * 33, "pool", 4, None, {"a": 1}],
        ),
        ("bias_free", [True, False], [1, None, "yes", []]),
        ("hidden", [None, 1, 4096], [0, 4097, 1.5, True, "32", [32]]),
        ("dropout", [0, 0.0, 0.999], [-0.1, 1, 1.0, None, True, "0", float("nan"), [0]]),
        ("mean", [0, 0.0, 1.0], [-0.1, 1.1, None, float("nan"), float("inf"), [0]]),
        ("std", [1e-7, 1, 1.0], [0, 9e-8, 1.1, None, float("nan"), {}]),
        (
            "shape",
            [SHAPE, SHAPE | {"fit": None, "channels": 1}],
            [
                None,
                [],
                1,
                *(SHAPE | {"size": size} for size in (7, 65, 8.5, None, [])),
                *(SHAPE | {"channels": channels} for channels in (0, 2, None)),
                *(SHAPE | {"fit": fit} for fit in ("squeeze", "", 1, [])),
                SHAPE | {"classes": ["a"]},
                SHAPE | {"classes": ["a", "a"]},
                SHAPE | {"classes": ["a", 1]},
                SHAPE | {"classes": "ab"},
                SHAPE | {"classes": {"a": 1, "b": 2}},
                SHAPE | {"classes": ["a", "\ud800"]},
                SHAPE | {"classes": [str(name) for name in range(1001)]},
            ],
        ),
        ("more", [], [0, {}, None]),
        ("architecture", [], [None, [], {}, ARCHITECTURE | {"more": 1}]),
        ("normalisation", [], [None, 1, [], {"mean": 0.1}, NORMALISATION | {"text": "x"}]),
    ],
)
def test_both_readers_accept_and_refuse_the_same(
    key: str, right: list[object], wrong: list[object]
) -> None:
    for value in right:
        text = text_of(**{key: value})
        light, full = header.parse(Path("model"), text), ModelHeader.model_validate_json(text)
        assert Architecture(**vars(light.architecture)) == full.architecture
        assert light.shape == full.shape
        assert Normalisation(mean=light.mean, std=light.std) == full.normalisation
    for value in wrong:
        text = text_of(**{key: value})
        with pytest.raises(ValidationError):
            ModelHeader.model_validate_json(text)
        with pytest.raises(HeaderError, match=r"^model: its header is not that of a model$"):
            header.parse(Path("model"), text)


@pytest.mark.parametrize("text", ["", "null", "[]", "1", "{}", "[" * 100_000, '{"architecture":'])
def test_what_is_no_header_is_refused(text: str) -> None:
    with pytest.raises(HeaderError):
        header.parse(Path("model"), text)
