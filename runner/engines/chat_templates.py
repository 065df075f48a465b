"""Chat templates of the user's, under the name that some engines know one by."""

from __future__ import annotations

from pathlib import Path

from runner.errors import EngineStartError
from runner.spec import Model

_SUFFIX = ".jinja"


def as_jinja(model: Model, folder: Path) -> Model:
    """Return *model* with a chat template that ends in .jinja: the user's own, or else a copy in *folder*.

    Raises:
        EngineStartError: it can't be read.
    """
    given = model.chat_template
    if given is None or given.endswith(_SUFFIX):
        return model
    copy = folder.resolve() / f"chat_template{_SUFFIX}"
    try:
        copy.write_bytes(Path(given).read_bytes())
    except OSError as error:
        raise EngineStartError(f"the chat template can't be read: {error}") from error
    return model.model_copy(update={"chat_template": str(copy)})
