"""Compiled code on disk: used only if its digest is right, and compiled again otherwise.

Numba's own cache trusts its files and watches a single source file. This one keeps one file for
each function, signature and processor, under a name made of everything that the code depends on.
"""

import hashlib
import inspect
import pickle
import platform
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from digits.core import files

DIGEST_BYTES = 32
PACKAGES = ("llvmlite", "numba")


class KernelCache(NullCache):
    """Where a function of Numba finds what was compiled for it; set it as its `_cache`."""

    def __init__(self, function: Callable[..., Any], code: str) -> None:
        """`code` is a digest of the source that the function calls; its own file is added."""
        source = Path(inspect.getfile(function))
        self._folder, self._name = source.parent / "__pycache__", function.__name__
        parts = [code, platform.python_version(), *map(version, PACKAGES), source.read_text()]
        self._key = "\n".join(parts)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """What was compiled for this signature and processor; None if there is nothing whole."""
        target_context.refresh()
        try:
            content = self._path(sig, target_context.codegen()).read_bytes()
        except OSError:
            return None
        digest, compiled = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
        if hashlib.sha256(compiled).digest() != digest:
            return None
        rebuild: Any = CompileResult._rebuild  # pyright: ignore[reportPrivateUsage]
        try:
            return rebuild(target_context, *pickle.loads(compiled))  # noqa: S301  we wrote it
        except Exception:  # whatever Numba cannot load can be compiled
            return None

    def save_overload(self, sig: Any, cres: Any) -> None:
        """Keep what was compiled; a folder that cannot be written costs only time."""
        compiled = dumps(cres._reduce())
        with suppress(OSError):  # of several processes that write at once, one does
            files.write(self._path(sig, cres.codegen), hashlib.sha256(compiled).digest() + compiled)

    def _path(self, sig: Any, codegen: Any) -> Path:
        key = f"{self._key}\n{sig}\n{codegen.magic_tuple()}"
        return self._folder / f"{self._name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.nbc"
