"""Files that mean harm, drawn: each function returns a name, which says what it is, and bytes."""

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

from stages.download import encode_idx
from stages.lib import model, parameters, splits, tensors
from stages.lib.checkpoint import Checkpoint, CheckpointHeader
from stages.lib.model import DigitNet
from stages.lib.optimizer import Adam
from tests import digits
from tests.project import ROOT

Case = tuple[str, bytes]

IMAGES, LABELS = digits.draw(3, 0)
NUMBERS = [0, 1, 2, 4, 27, 29, 127, 128, 255, 256, 2**15, 2**31 - 1, 2**31, 2**32 - 1]
DESCRIBED = (ROOT / "recipes/described.yaml").read_bytes()


class Canary:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., None], tuple[Path]]:
        return Path.touch, (self.path,)


def damage(content: bytes, chance: random.Random) -> bytes:
    """A few bytes changed, put in or taken out, or the end cut off."""
    damaged = bytearray(content)
    for _ in range(chance.randint(1, 5)):
        place = chance.randrange(len(damaged) + 1)
        match chance.randrange(5):
            case 0 | 1 if place < len(damaged):
                damaged[place] ^= 1 << chance.randrange(8)
            case 2:
                damaged[place:place] = chance.randbytes(chance.randint(1, 20))
            case 3:
                del damaged[place : place + chance.randint(1, 20)]
            case _ if chance.random() < 0.3:
                del damaged[place:]
            case _:
                damaged[place : place + 4] = struct.pack(">I", chance.choice(NUMBERS))
    return bytes(damaged)


def idx_file(chance: random.Random) -> Case:
    """An IDX file: damaged as gzip, or inside a gzip that is right."""
    kind, array = chance.choice([("images", IMAGES), ("labels", LABELS)])
    packed = encode_idx(array) if chance.random() < 0.5 else gzip.compress(
        gzip.decompress(encode_idx(array))
    )  # fmt: skip
    plain = gzip.decompress(packed)
    header = 4 + 4 * array.ndim
    match chance.randrange(7):
        case 0:
            return kind, damage(packed, chance)
        case 1:
            return kind, packed[: chance.randrange(len(packed))]
        case 2:
            return kind, gzip.compress(plain[: chance.randrange(len(plain))])
        case 3:  # one field of the header
            field = chance.randrange(0, header, 4)
            value = struct.pack(">I", chance.choice([*NUMBERS, chance.getrandbits(32)]))
            return kind, gzip.compress(plain[:field] + value + plain[field + 4 :])
        case 4:  # several members, or something after the last
            more = chance.choice([b"\0", b"x", gzip.compress(b""), gzip.compress(b"x"), packed])
            return kind, packed + more * chance.randint(1, 5)
        case 5:  # wrong labels, wrong kind of array
            dtype = chance.choice([np.uint8, np.int8, np.int16, np.float32])
            values = np.array([chance.choice(NUMBERS) % 256 for _ in range(3)]).astype(dtype)
            return kind, encode_idx(values)
        case _:
            return kind, gzip.compress(damage(plain, chance))


def parts(content: bytes) -> tuple[dict[str, Any], bytes]:
    """The header and the data of a safetensors file."""
    size = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def safetensors(header: dict[str, Any] | bytes, data: bytes = b"") -> bytes:
    packed = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(packed)) + packed + data


ODD = [
    None, True, -1, 0, 1e308, float("nan"), float("inf"), 2**62, 2**64, 10**30, 4096,
    "", "pool", "x" * 5000, "\x1b[31m", [], [[]], {}, {"a": 1}, ["pool"] * 32,
    [1024] * 32, [1024] * 100_000,
]  # fmt: skip
TYPES = [
    "F32",
    "F64",
    "F16",
    "BF16",
    "F8_E4M3",
    "F4",
    "I64",
    "U8",
    "U64",
    "BOOL",
    "C64",
    "\x1b",
    "",
]


Right = dict[str, bytes]
HEADERS = {
    "model": model.ModelHeader,
    "split": splits.Normalisation,
    "checkpoint": CheckpointHeader,
}
KEY = "this run"  # of the checkpoint
STEPS = 2  # of its optimizer in each epoch


def beginning() -> tuple[DigitNet, Adam, torch.Generator]:
    """What a run begins with that is done with one of its epochs in the right checkpoint."""
    generator = torch.Generator().manual_seed(0)
    network = DigitNet([2, "pool", 2, "pool", "pool", "pool"], None, 0.1, generator)
    chosen = parameters.read(ROOT / "recipes/described.yaml").train
    return network, Adam(network.parameters(), chosen, STEPS * chosen.epochs), generator


def right_files(folder: Path) -> Right:
    """A small model file, a small split and a small checkpoint, by kind."""
    network, optimizer, generator = beginning()
    split = digits.split(3)
    model.save(folder / "model", network, split.normalisation)
    splits.save(folder / "split", split)
    for weight in network.parameters():
        weight.grad = torch.ones_like(weight)
    for _ in range(STEPS):
        optimizer.step()
    history = [{"epoch": 1, "train_loss": 0.5, "validation_loss": None}]
    Checkpoint(folder / "checkpoint", KEY).save(network, optimizer, generator, history)
    return {kind: (folder / kind).read_bytes() for kind in HEADERS}


def tensor_file(chance: random.Random, right: Right, canary: Path) -> Case:
    """A model, split or checkpoint: damaged, with an odd header, or sealed with wrong content."""
    kind = chance.choice(sorted(right))
    content = right[kind]
    match chance.randrange(8):
        case 0:
            return kind, damage(content, chance)
        case 1:
            return kind, content[: chance.randrange(len(content))]
        case 2:
            size = chance.choice([*NUMBERS, 2**40, 2**60, 2**63, 2**64 - 1])
            return kind, struct.pack("<Q", size) + content[8:]
        case 3:
            return kind, chance.choice([pickle.dumps, saved_by_torch])(Canary(canary))
        case 4 | 5:
            return kind, odd_header(content, chance)
        case _:
            return kind, sealed(kind, chance, canary.parent)


def odd_header(content: bytes, chance: random.Random) -> bytes:
    """The file with something wrong in its header, under the digest of the right content."""
    header, data = parts(content)
    odd = chance.choice(ODD)
    entry = header[chance.choice(sorted(set(header) - {"__metadata__"}))]
    text = header["__metadata__"]["header"]
    match chance.randrange(5):
        case 0 | 1:  # one word about one tensor
            shapes = [odd, [odd], [1] * 100, [0, 2**62], [0, 2**64 - 1], [2**32] * 2, [-1], [0.5]]
            what = chance.choice(["dtype", "shape", "data_offsets", "more"])
            entry[what] = chance.choice(TYPES if what == "dtype" else shapes)
        case 2:  # one value of what the file says about itself
            envelope = json.loads(text)
            place = envelope
            key = chance.choice([*envelope, "more"])
            while isinstance(place.get(key), dict) and chance.random() < 0.8:
                place = place[key]
                key = chance.choice([*place, "more"])
            place[key] = odd
            header["__metadata__"]["header"] = json.dumps(envelope)
        case 3:
            header["__metadata__"]["header"] = damage(text.encode(), chance).decode("latin-1")
        case _:  # a key twice, or a name that is none
            again = {chance.choice([*header, "\n", "x" * 5000]): entry}
            both = json.dumps(header)[:-1] + "," + json.dumps(again)[1:]
            return safetensors(both.encode(), data)
    return safetensors(header, data)


def saved_by_torch(canary: Canary) -> bytes:
    path = canary.path.parent / "torch"
    torch.save(canary, path)
    return path.read_bytes()


ODD_HISTORIES = [
    [], [{}], [{"epoch": 2}], [{"epoch": None}], [{"epoch": 1.5}], [{"epoch": 1}] * 2,
    [{"epoch": 1}, {"epoch": 2}], [{"epoch": epoch} for epoch in range(1, 10_001)],
]  # fmt: skip


def sealed(kind: str, chance: random.Random, folder: Path) -> bytes:
    """A file with the digest that belongs to it, and wrong content: what the digest cannot see."""
    found, says = tensors.load(folder / kind, HEADERS[kind])
    name = chance.choice(sorted(found))
    tensor = found[name].clone()
    match chance.randrange(8 if kind == "checkpoint" else 7):
        case 0:
            del found[name]
        case 1:
            found["\x1b[31m" + name] = tensor
        case 2:
            found[name] = tensor.to(chance.choice([torch.float64, torch.int64, torch.bool]))
        case 3:
            found[name] = tensor.flatten()[:-1]
        case 4 if tensor.is_floating_point():
            tensor.view(-1)[-1] = chance.choice([float("nan"), float("inf"), float("-inf")])
            found[name] = tensor
        case 4 | 5:
            found[name] = torch.full((4, *tensor.shape[1:]), 200, dtype=tensor.dtype)
        case 6:
            found[name] = torch.full_like(tensor, 200)
        case _:
            says = says.model_copy(update={"history": chance.choice(ODD_HISTORIES)})
    tensors.save(folder / "sealed", found, says)
    return (folder / "sealed").read_bytes()


WORDS = [
    *b".nan|-.inf|1e308|1e999|''|~|{a: {b: {c: 1}}}|[1, 2|{|&x [*x]|*nothing|!x y|1:30".split(b"|"),
    *b"!!python/object/apply:os.system ['touch canary']|!!python/name:os.system".split(b"|"),
    *b"- 1|!!binary aaaa|!!set {a}|2001-01-01|0o9|yes|<<: {a: 1}|[8, pool, [pool]]".split(b"|"),
    *b"9999-12-31T23:59:59.9999999|-_|-._|0001-01-01T00:00:00+23:59".split(b"|"),
    *b"2001-13|a: b: c|%|@|`|\t1|? x|1_0|-1|1.5|true|[]|null|2147483648|#|&a|8".split(b"|"),
    b"0x" + b"f" * 6000, b"9" * 4000, b"9" * 5000, b"[" * 20 + b"]" * 20, b"|\n  a\n  b",
    b"'\x00'", b'"\\ud800"', b'"\\x1b[31m"', b"\xff\xfe", b"\xf0\x9f\x92\xa3", b"x" * 5000,
    b"[" + b"1," * 500 + b"]",
]  # fmt: skip


DIRECTIVES = [
    *b"%YAML 1.1|%YAML 1.2|%YAML 1.3|%YAML 2.0|%YAML 1|%YAML".split(b"|"),
    *b"%TAG ! tag:a,2000:|%TAG !a! !|%TAG|%A b|%".split(b"|"),
    b"%YAML 1." + b"9" * 5000, b"%YAML 1.1\n%YAML 1.1",
]  # fmt: skip


def parameter_file(chance: random.Random) -> Case:
    """The described recipe with a value, key or line replaced, a directive, or damaged bytes."""
    lines = DESCRIBED.splitlines()
    place = chance.randrange(len(lines))
    line = lines[place]
    key, colon, _ = line.partition(b":")
    word = chance.choice(WORDS)
    match chance.randrange(8):
        case 0 | 1 | 2 if colon:
            lines[place] = key + b": " + word
        case 3:
            lines[place] = word
        case 4:
            lines.insert(place, chance.choice([line, line[1:], b" " + line, word + b": 1"]))
        case 5:
            del lines[place : place + chance.randint(1, 5)]
        case 6:
            lines[place] = key + b": " + word
            lines[:0] = [chance.choice(DIRECTIVES), b"---"]
        case _:
            return "params", damage(DESCRIBED, chance)
    return "params", b"\n".join(lines)


def bombs(right: Right) -> dict[str, bytes]:
    """Small files that ask for much, or large ones, by names that begin with their reader's."""
    header, data = parts(right["model"])
    architecture = {"blocks": [1024] * 32, "hidden": 4096, "dropout": 0}
    content = {"architecture": architecture, "normalisation": {"mean": 0.1, "std": 0.3}}
    envelope = json.dumps({"sha256": "0" * 64, "content": content})
    asking = tensors.digest(
        {name: torch.zeros(1) for name in ("a",)}, model.ModelHeader.model_validate(content)
    )
    sealed_envelope = envelope.replace("0" * 64, asking)
    empty = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    one = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    terabyte = {"dtype": "F32", "shape": [2**38], "data_offsets": [0, 2**40]}
    zeros = gzip.compress(bytes(10**8), 9) * 10  # 1 MB that unpacks to 1 GB
    claims = struct.pack(">4I", 2051, 60_000, 28, 28)

    def levels(line: bytes) -> bytes:
        """Forty lines, each of which names the one before nine times."""
        return b"a0: &a0 {b: 1}\n" + b"".join(
            line % (b"a%d" % i, b"a%d" % i, b",".join([b"*a%d" % (i - 1)] * 9)) + b"\n"
            for i in range(1, 40)
        )

    return {
        "images-right-header": gzip.compress(struct.pack(">4I", 2051, 3, 28, 28)) + zeros,
        "images-many": gzip.compress(struct.pack(">4I", 2051, 10**6, 28, 28)) + zeros,
        "images-members": gzip.compress(claims) + zeros,
        "images-empty-members": gzip.compress(b"") * 100_000,
        "images-padding": gzip.compress(claims) + bytes(10**7),
        "images-large": gzip.compress(claims) + bytes(65 * 2**20),
        "images-name": b"\x1f\x8b\x08\x08" + b"x" * 10**7,
        "labels-zeros": gzip.compress(struct.pack(">2I", 2049, 60_000)) + zeros,
        "model-terabytes": safetensors(
            {"a": one, "__metadata__": {"header": sealed_envelope}}, bytes(4)
        ),
        "model-terabytes-unsealed": safetensors(
            {**header, "__metadata__": {"header": envelope}}, data
        ),
        "model-header-2-60": struct.pack("<Q", 2**60) + b"{}",
        "model-header-50-MB": safetensors({"__metadata__": {"header": "x" * 50_000_000}}),
        "model-many": safetensors({f"t{i}": empty for i in range(100_000)}),
        "model-deep": safetensors(b'{"a":' + b"[" * 100_000),
        "model-deep-inside": safetensors({"__metadata__": {"header": "[" * 100_000}}),
        "model-tensor": safetensors({"a": terabyte}, bytes(4)),
        "split-large": safetensors(b"{}      ") + bytes(257 * 2**20),
        "params-aliases": levels(b"%s: &%s [%s]"),
        "params-aliases-as-key": levels(b"%s: &%s [%s]") + b"? *a39\n: 1\n",
        "params-merges": levels(b"%s: &%s {<<: [%s]}"),
        "params-large": bytes(10**8),
        "params-long": b"a: [" + b"1," * 10**6 + b"]",
        "params-brackets": b"a: " + b"[" * 10_000 + b"]" * 10_000,
        "params-braces": b"{" * 10_000 + b"}" * 10_000,
        "params-keys": b"".join(b"k%d: 1\n" % i for i in range(7_000)),
    }
