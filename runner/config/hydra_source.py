"""Lets Hydra read files through our own reader: YAML 1.2, lines remembered, each file once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from omegaconf.errors import OmegaConfBaseException

from runner.config.hydra_settings import refuse_in_config
from runner.config.interpolation import omegaconf
from runner.config.reader import Reader
from runner.errors import ConfigError, Fault
from runner.files import entries, is_file, is_folder

_reader: ContextVar[Reader] = ContextVar("reader of the composition in progress")


class ReaderSource(ConfigSource):
    """A folder of YAML files.

    Its path is ``runner://FOLDER?FILE&KEY&KEY``, percent-encoded: the file's top-level KEYs are
    left out, because the command line replaces them.
    """

    def __init__(self, provider: str, path: str) -> None:
        super().__init__(provider=provider, path=path)
        folder, _, rest = self.path.partition("?")
        self._folder = Path(unquote(folder))
        self._primary, *self._without = [unquote(part) for part in rest.split("&")]

    @staticmethod
    def scheme() -> str:
        return "runner"

    def load_config(self, config_path: str) -> ConfigResult:
        path = self._file(config_path)
        if path is None:
            raise ConfigLoadError(f"Config not found : {config_path}")
        document = _reader.get().read(path)
        data = document.data
        refuse_in_config(document, primary=config_path == self._primary)
        if config_path == self._primary:
            without = {*self._without, "hydra"}  # which is read apart
            data = {key: value for key, value in data.items() if key.split(".")[0] not in without}
        return ConfigResult(
            config=omegaconf().create(data),
            path=f"{self.scheme()}://{self.path}",
            provider=self.provider,
            header=ConfigSource._get_header_dict(document.text[:512]),  # noqa: SLF001 - for its subclasses
        )

    def available(self) -> bool:
        return self._folder.is_dir()

    def is_group(self, config_path: str) -> bool:
        return is_folder(self._folder / config_path)

    def is_config(self, config_path: str) -> bool:
        return self._file(config_path) is not None

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        found: list[str] = []
        for one in entries(self._folder / config_path):
            self._list_add_result(found, str(Path(config_path, one.name)), one.name, results_filter)
        return sorted(set(found))

    def _file(self, config_path: str) -> Path | None:
        if not config_path:
            return None
        path = self._folder / f"{config_path.removesuffix('.yaml')}.yaml"
        if config_path == self._primary and not is_file(path):
            path = self._folder / config_path
        return path if is_file(path) else None


def loader(reader: Reader, primary: Path | None = None, without: Sequence[str] = ()) -> ConfigLoaderImpl:
    """Return Hydra's loader over the reader's groups, with *primary*'s folder in front."""
    omegaconf()
    Plugins.instance().register(ReaderSource)
    version.setbase("1.3")
    paths = ConfigSearchPathImpl()
    paths.append("hydra", "pkg://hydra.conf")
    if primary is not None:
        parts = [config_name(primary), *without]
        tail = "&".join(quote(part, safe="") for part in parts)
        paths.append("main", f"runner://{quote(str(primary.parent))}?{tail}")
    for folder in reader.groups:
        paths.append("runner", f"runner://{quote(str(folder))}")
    paths.append("schema", "structured://")
    return ConfigLoaderImpl(paths)


def config_name(primary: Path) -> str:
    """Return what Hydra calls a file in its own folder."""
    return primary.name.removesuffix(".yaml")


@contextmanager
def composing(reader: Reader, place: str, source: str) -> Iterator[None]:
    """Let Hydra read through *reader*; what it refuses becomes a fault at *place*.

    Raises:
        ConfigError: Hydra's own message.
    """
    token = _reader.set(reader)
    try:
        yield
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise ConfigError([Fault(place, _message(error), "", source)]) from None
    except RecursionError:
        raise ConfigError([Fault(place, "the files name each other in a circle", "", source)]) from None
    finally:
        _reader.reset(token)


def _message(error: BaseException) -> str:
    """Return Hydra's words without its search path and links."""
    cause: Any = error.__cause__ or error.__context__
    text = str(error) or str(cause or type(error).__name__)
    lines = text.split("\nConfig search path:")[0].split("\nSearch path:")[0].splitlines()
    kept = [line.strip() for line in lines if line.strip() and "https://hydra.cc" not in line]
    if cause is not None and str(error).startswith("Error merging"):
        kept += str(cause).splitlines()[:1]
    return "; ".join(kept)
