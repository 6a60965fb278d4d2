"""Hostile files drawn from a seed; each function returns the kind of file and its bytes."""

import gzip
import json
import pickle
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from digits.core import config, split, tensor_file
from digits.core.split import Normalisation
from digits.network import model_file
from digits.network.digitnet import DigitNet
from digits.sources import idx
from digits.training.checkpoint import Checkpoint, CheckpointHeader
from digits.training.optimizer import Adam
from tests import drawn
from tests.project import ROOT

IMAGES, LABELS = drawn.draw(3, 0)
NUMBERS = [0, 1, 2, 4, 27, 29, 127, 128, 255, 256, 2**15, 2**31 - 1, 2**31, 2**32 - 1]
RECIPE = ROOT / "recipes/described.yaml"
HEADERS = {
    "checkpoint": CheckpointHeader,
    "model": model_file.ModelHeader,
    "split": Normalisation,
}
KEY = "this run"  # of the checkpoint
STEPS = 2  # in each of its epochs


def damage(content: bytes, rng: random.Random) -> bytes:
    """Flip bits, overwrite numbers, add or remove bytes, or cut off the end."""
    damaged = bytearray(content)
    for _ in range(rng.randint(1, 5)):
        damaged = damaged or bytearray(1)
        start = rng.randrange(len(damaged))
        end = start + rng.randint(1, 20)
        match rng.randrange(9):
            case 0:
                del damaged[start:]
            case 1 | 2:
                del damaged[start:end]
            case 3 | 4:
                damaged[start:start] = rng.randbytes(end - start)
            case 5:
                damaged[start : start + 4] = struct.pack(">I", rng.choice(NUMBERS))
            case _:
                damaged[start] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def idx_file(rng: random.Random) -> tuple[str, bytes]:
    """An IDX file that is damaged as gzip, or inside a gzip file that is whole."""
    kind, array = rng.choice([("images", IMAGES), ("labels", LABELS)])
    packed = idx.encode(array)
    plain = gzip.decompress(packed)
    packed = rng.choice([packed, gzip.compress(plain)])
    field = 4 * rng.randrange(1 + array.ndim)
    number = struct.pack(">I", rng.choice([*NUMBERS, rng.getrandbits(32)]))
    more = rng.choice([b"\0", b"x", gzip.compress(b""), gzip.compress(b"x"), packed])
    values = np.array(rng.choices(NUMBERS, k=3)) % 256
    dtype = rng.choice([np.uint8, np.int8, np.int16, np.float32])
    return kind, rng.choice(
        [
            damage(packed, rng),
            packed[: rng.randrange(len(packed))],
            packed + more * rng.randint(1, 5),
            gzip.compress(damage(plain, rng)),
            gzip.compress(plain[: rng.randrange(len(plain))]),
            gzip.compress(plain[:field] + number + plain[field + 4 :]),
            idx.encode(values.astype(dtype)),
        ]
    )


class Canary:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., None], tuple[Path]]:
        return Path.touch, (self.path,)


def start_of_run() -> tuple[DigitNet, Adam, torch.Generator]:
    """The state before training of the run that the checkpoint belongs to."""
    rng = torch.Generator().manual_seed(0)
    blocks = [2, "pool", 2, "pool", "pool", "pool"]
    network = DigitNet(config.Architecture(blocks=blocks, dropout=0.1), rng)
    training = config.read(RECIPE).train
    return network, Adam(network.parameters(), training, STEPS * training.epochs), rng


def whole_files(folder: Path) -> dict[str, bytes]:
    """A small checkpoint, model and split, as `tensor_file` needs them in `folder`."""
    network, optimizer, rng = start_of_run()
    content = drawn.split(3)
    model_file.save(folder / "model", network, content.normalisation)
    split.save(folder / "split", content)
    for weight in network.parameters():
        weight.grad = torch.ones_like(weight)
    for _ in range(STEPS):
        optimizer.step()
    history = [{"epoch": 1, "train_loss": 0.5, "validation_loss": None}]
    Checkpoint(folder / "checkpoint", KEY).save(network, optimizer, rng, history)
    return {kind: (folder / kind).read_bytes() for kind in HEADERS}


def tensors(rng: random.Random, folder: Path) -> tuple[str, bytes]:
    """A checkpoint, model or split that is damaged, lies or holds code: folder/canary appears."""
    kind = rng.choice(sorted(HEADERS))
    content = (folder / kind).read_bytes()
    size = rng.choice([*NUMBERS, 2**40, 2**60, 2**63, 2**64 - 1])
    match rng.randrange(8):
        case 0:
            return kind, damage(content, rng)
        case 1:
            return kind, content[: rng.randrange(len(content))]
        case 2:
            return kind, struct.pack("<Q", size) + content[8:]
        case 3:
            dump = rng.choice([pickle.dump, torch.save])
            with (folder / "pickle").open("wb") as file:
                dump(Canary(folder / "canary"), file)
            return kind, (folder / "pickle").read_bytes()
        case 4 | 5:
            return kind, with_odd_header(content, rng)
        case _:
            return kind, sealed(kind, rng, folder)


def safetensors(header: dict[str, Any] | bytes, data: bytes = b"") -> bytes:
    packed = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(packed)) + packed + data


def parts(content: bytes) -> tuple[dict[str, Any], bytes]:
    """The header and the data of a safetensors file."""
    size = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + size]), content[8 + size :]


DTYPES = [
    "F32", "F64", "F16", "BF16", "F8_E4M3", "F4", "I64", "U8", "U64", "BOOL", "C64", "\x1b", "",
]  # fmt: skip
ODD = [
    None, True, -1, 0, 0.5, 1e308, float("nan"), float("inf"), 2**62, 2**64, 10**30, 4096,
    "", "pool", "x" * 5000, "\x1b[31m", [], [[]], {}, {"a": 1}, ["pool"] * 32,
    [1024] * 32, [1024] * 100_000,
]  # fmt: skip
SHAPES = [[1] * 100, [0, 2**62], [0, 2**64 - 1], [2**32] * 2, [-1]]


def with_odd_header(content: bytes, rng: random.Random) -> bytes:
    """The file with something wrong in its header, beside the digest of the right content."""
    header, data = parts(content)
    odd = rng.choice(ODD)
    entry = header[rng.choice(sorted(set(header) - {"__metadata__"}))]
    text = header["__metadata__"]["header"]
    match rng.randrange(5):
        case 0 | 1:  # what it says of one tensor
            key = rng.choice(["dtype", "shape", "data_offsets", "more"])
            entry[key] = rng.choice(DTYPES if key == "dtype" else [odd, [odd], *SHAPES])
        case 2:  # one value of what it says of itself
            envelope = place = json.loads(text)
            key = rng.choice([*envelope, "more"])
            while isinstance(place.get(key), dict) and rng.random() < 0.8:
                place = place[key]
                key = rng.choice([*place, "more"])
            place[key] = odd
            header["__metadata__"]["header"] = json.dumps(envelope)
        case 3:
            header["__metadata__"]["header"] = damage(text.encode(), rng).decode("latin-1")
        case _:  # a key twice, or an impossible name
            again = {rng.choice([*header, "\n", "x" * 5000]): entry}
            both = json.dumps(header)[:-1] + "," + json.dumps(again)[1:]
            return safetensors(both.encode(), data)
    return safetensors(header, data)


HISTORIES = [
    [], [{}], [{"epoch": 2}], [{"epoch": None}], [{"epoch": 1.5}], [{"epoch": 1}] * 2,
    [{"epoch": 1}, {"epoch": 2}], [{"epoch": epoch} for epoch in range(1, 10_001)],
]  # fmt: skip


def sealed(kind: str, rng: random.Random, folder: Path) -> bytes:
    """Wrong content with the digest that belongs to it, so that the digest proves nothing."""
    content, header = tensor_file.load(folder / kind, HEADERS[kind])
    name = rng.choice(sorted(content))
    tensor = content.pop(name)
    match rng.randrange(8 if kind == "checkpoint" else 7):
        case 0:
            pass
        case 1:
            content |= {name: tensor, "\x1b[31m" + name: tensor.clone()}
        case 2:
            content[name] = tensor.to(rng.choice([torch.float64, torch.int64, torch.bool]))
        case 3:
            content[name] = tensor.flatten()[:-1]
        case 4 if tensor.is_floating_point():
            tensor.view(-1)[-1] = rng.choice([float("nan"), float("inf"), float("-inf")])
            content[name] = tensor
        case 4 | 5:
            content[name] = torch.full((4, *tensor.shape[1:]), 200, dtype=tensor.dtype)
        case 6:
            content[name] = torch.full_like(tensor, 200)
        case _:
            content[name] = tensor
            header = header.model_copy(update={"history": rng.choice(HISTORIES)})
    tensor_file.save(folder / "sealed", content, header)
    return (folder / "sealed").read_bytes()


WORDS = [
    *b".nan|-.inf|1e308|1e999|''|~|{a: {b: {c: 1}}}|[1, 2|{|*nothing|!x y|1:30".split(b"|"),
    *b"!!python/object/apply:os.system ['touch canary']|!!python/name:os.system".split(b"|"),
    *b"- 1|[8, pool, [pool]]|!!binary aaaa|!!set {a}|0o9|yes|<<: {a: 1}".split(b"|"),
    *b"9999-12-31T23:59:59.9999999|-_|-._|0001-01-01T00:00:00+23:59|2001-13|2001-01-01".split(b"|"),
    *b"a: b: c|%|@|`|\t1|? x|1_0|-1|1.5|true|[]|null|2147483648|#|&a|8".split(b"|"),
    b"0x" + b"f" * 6000, b"9" * 4000, b"9" * 5000, b"[" * 20 + b"]" * 20, b"|\n  a\n  b",
    b"'\x00'", b'"\\ud800"', b'"\\x1b[31m"', b"\xff\xfe", b"\xf0\x9f\x92\xa3", b"x" * 5000,
    b"[" + b"1," * 500 + b"]",
]  # fmt: skip


def parameter_file(rng: random.Random) -> tuple[str, bytes]:
    """The described recipe with a value, key or line replaced or missing, or damaged."""
    lines = RECIPE.read_bytes().splitlines()
    place, word = rng.randrange(len(lines)), rng.choice(WORDS)
    line = lines[place]
    key, colon, _ = line.partition(b":")
    match rng.randrange(7):
        case 0 | 1 | 2 if colon:
            lines[place] = key + b": " + word
        case 3:
            lines[place] = word
        case 4:
            lines.insert(place, rng.choice([line, line[1:], b" " + line, word + b": 1"]))
        case 5:
            del lines[place : place + rng.randint(1, 5)]
        case _:
            return "params", damage(RECIPE.read_bytes(), rng)
    return "params", b"\n".join(lines)


def bombs(whole_model: bytes) -> dict[str, bytes]:
    """Small files that ask for much memory or time, and large ones; a name begins with the kind."""
    header, data = parts(whole_model)
    architecture = {"blocks": [1024] * 32, "hidden": 4096, "dropout": 0}
    content = {"architecture": architecture, "normalisation": {"mean": 0.1, "std": 0.3}}
    huge = tensor_file.encoded({"a": torch.zeros(1)}, json.dumps(content))
    unsealed = f'{{"sha256":"{"0" * 64}","content":{json.dumps(content)}}}'
    one = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    empty = one | {"shape": [0], "data_offsets": [0, 0]}
    terabyte = one | {"shape": [2**38], "data_offsets": [0, 2**40]}
    zeros = gzip.compress(bytes(10**8), 9) * 10  # 1 MB that unpacks to 1 GB
    claims = struct.pack(">4I", 2051, 60_000, 28, 28)
    return {
        "images-right-header": gzip.compress(struct.pack(">4I", 2051, 3, 28, 28)) + zeros,
        "images-many": gzip.compress(struct.pack(">4I", 2051, 10**6, 28, 28)) + zeros,
        "images-members": gzip.compress(claims) + zeros,
        "images-empty-members": gzip.compress(b"") * 100_000,
        "images-padding": gzip.compress(claims) + bytes(2 * 10**6),
        "images-large": gzip.compress(claims) + bytes(65 * 2**20),
        "images-name": b"\x1f\x8b\x08\x08" + b"x" * 2 * 10**6,
        "labels-zeros": gzip.compress(struct.pack(">2I", 2049, 60_000)) + zeros,
        "model-huge": huge,
        "model-huge-unsealed": safetensors({**header, "__metadata__": {"header": unsealed}}, data),
        "model-header-2-60": struct.pack("<Q", 2**60) + b"{}",
        "model-header-50-MB": safetensors({"__metadata__": {"header": "x" * 50_000_000}}),
        "model-many": safetensors({f"t{i}": empty for i in range(100_000)}),
        "model-deep": safetensors(b'{"a":' + b"[" * 100_000),
        "model-deep-inside": safetensors({"__metadata__": {"header": "[" * 100_000}}),
        "model-tensor": safetensors({"a": terabyte}, bytes(4)),
        "split-large": safetensors(b"{}      ") + bytes(257 * 2**20),
    }
