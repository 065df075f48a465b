"""Runs a batch in an IPython kernel, as a notebook's cell does: run by test_notebook.py.

    python -m tests.slow.notebook

Prints one JSON object: the text of standard error, the types of what was displayed, and the result.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager

CELL = """
from runner import LLM
llm = LLM("fake:m", engine={"kind": "fake", "template": "{{ last | upper }}"}, cache=False)
[answer.text for answer in llm.batch(["a", "b", "c"])]
"""


class ThisPython(KernelManager):  # type: ignore[misc] # it has no types where it isn't installed
    """A kernel of this interpreter."""

    @property
    def kernel_spec(self) -> KernelSpec:
        """How it is started."""
        words = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=words, language="python", display_name="this")


def main() -> None:
    """Run the cell."""
    told: dict[str, Any] = {"stderr": "", "displayed": [], "result": None, "error": None}

    def take(message: dict[str, Any]) -> None:
        content = message["content"]
        match message["msg_type"]:
            case "stream":
                told[content["name"]] = told.get(content["name"], "") + content["text"]
            case "display_data" | "update_display_data":
                told["displayed"] += sorted(content["data"])
            case "execute_result":
                told["result"] = content["data"]["text/plain"]
            case "error":
                told["error"] = content["evalue"]

    kernel = ThisPython()
    kernel.start_kernel()
    client = kernel.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        client.execute_interactive(CELL, output_hook=take, timeout=60)
    finally:
        client.stop_channels()
        kernel.shutdown_kernel(now=True)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
