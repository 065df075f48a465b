"""Lets a torchvision that was built for CUDA be imported with a torch for CPUs.

Its Python code registers fakes for two operators that only its CUDA library declares; here they are declared
first, at the moment of the import.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib.abc import MetaPathFinder
from typing import Any


class _Declare(MetaPathFinder):
    libraries: list[Any] = []  # noqa: RUF012 - a library that is collected takes its operators along

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> None:  # noqa: ARG002 - the protocol's
        if fullname != "torchvision":
            return
        sys.meta_path.remove(self)
        import torch

        library = torch.library.Library("torchvision", "DEF")
        self.libraries.append(library)
        for operator in ("nms", "qnms"):
            with suppress(RuntimeError):
                library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


sys.meta_path.insert(0, _Declare())
