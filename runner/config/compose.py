"""File + overrides (+ sweep) -> points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runner.config.choices import Chooser
from runner.config.files import Files
from runner.config.finish import Finisher
from runner.config.from_here import from_here
from runner.config.front import Front
from runner.config.hydra_searchpath import search_folders
from runner.config.hydra_settings import MODE, PARAMS, HydraSettings, hydra_settings
from runner.config.interpolation import environment_reads
from runner.config.keys import closest, nearest
from runner.config.layers import extended
from runner.config.overrides import parse_overrides, without_moot
from runner.config.point import Composition, Point
from runner.config.reader import Reader
from runner.config.sweep import FileAxes, refuse_commas, sweeper_axes
from runner.config.unfinished import other_faults
from runner.config.verdict import Verdict
from runner.errors import ConfigError, Fault
from runner.files import entries, find, is_file, is_folder, no_file, shown_name
from runner.places import Places
from runner.shipped import shipped
from runner.values import Json

if TYPE_CHECKING:
    from runner.config.plain import Plain

_UNSWEPT = "-m: nothing is swept; an axis is several values, such as sampling.temperature=0,1"


def compose(
    file: Path | str,
    overrides: Sequence[str] = (),
    *,
    multirun: bool = False,
    runs: Path | None = None,
    places: Places | None = None,
    skip_refused: bool = False,
) -> Composition:
    """Compose an experiment file with *overrides* into validated points.

    Args:
        file: a path, or a name looked up as NAME.yaml here, in experiments/, and among what ships.
        overrides: in Hydra's grammar.
        multirun: take Hydra's sweep grammar in overrides.
        runs: where runs are written, instead of what `Places.of` says.
        places: what to resolve the file against, instead of where it lies.
        skip_refused: gather the points that are no experiment, unless none is one.

    Raises:
        ConfigError: every fault of every point.
    """
    path = find_experiment(file)
    places = places or Places.of(path, runs)
    reader = Reader(places)
    with environment_reads() as names:
        verdict, verbose = _verdict(path, overrides, reader, multirun=multirun)
        points, refused = verdict.parted() if skip_refused else (verdict.points(), ())
    _check_name(points)
    return Composition(path, tuple(overrides), places, points, reader.sources, tuple(names), refused, verbose)


def _verdict(path: Path, overrides: Sequence[str], reader: Reader, *, multirun: bool) -> tuple[Verdict, bool]:
    chooser = Chooser(reader)
    source, verbose = opened(path, overrides, reader, chooser, multirun=multirun)
    unswept = (_UNSWEPT,) if multirun and not source.axes and not source.notes else ()
    files = Files(reader)
    finisher = Finisher(path.stem, chooser, files)
    verdict = Verdict()
    for combination in source.combinations():
        axes = {key: given.value for _, entry in combination for key, given in entry.items()}
        try:
            raw = source.raw(combination)
        except ConfigError as error:
            verdict.add(axes, None, (), _with_sweep(source.swept, error.faults))
            continue
        experiment = finisher.finish(raw)
        if experiment is None:
            raw.faults += other_faults(raw, files, reader.places.templates)
        notes = (*source.notes, *unswept, *raw.notes)
        faults = _with_sweep(source.swept, raw.faults)
        experiment = None if faults else experiment
        verdict.add(axes, experiment, notes, faults, _secret_env(raw.config), raw.trail)
    return verdict, verbose


def _with_sweep(swept: FileAxes, faults: Sequence[Fault]) -> list[Fault]:
    """Return what is wrong with the sweep, and those of a point's *faults* that are there without it too."""
    return [*swept.faults, *(fault for fault in faults if not swept.explains(fault))]


def _secret_env(config: Mapping[str, Json]) -> list[str]:
    """Return the environment variables that a config, which may be no experiment, names for its engine."""
    engine = config.get("engine")
    if not isinstance(engine, dict):
        return []
    headers = engine.get("headers_env")
    named = [engine.get("api_key_env"), *(headers.values() if isinstance(headers, dict) else ())]
    return [name for name in named if isinstance(name, str)]


def _check_name(points: Sequence[Point]) -> None:
    """Refuse points that differ in what the run is called."""
    names = list(dict.fromkeys(point.experiment.name for point in points))
    if len(names) > 1:
        given = f"{names[0]}, {names[1]}" + (", ..." if len(names) > 2 else "")  # noqa: PLR2004 - two are shown
        problem = f"its points come to different names: {given}; a name is that of the whole run"
        raise ConfigError([
            Fault("name", problem, "leave out what varies: points are named after their values")
        ])


def opened(
    path: Path, overrides: Sequence[str], reader: Reader, chooser: Chooser, *, multirun: bool | None
) -> tuple[Front | Plain, bool]:
    """Read the file and the overrides; a file with a ``defaults:`` list is Hydra's.

    Returns:
        What was read, and whether `hydra.verbose` is set. A *multirun* of None shows axes, whatever the mode.
    """
    document = reader.read(path)
    plain = "defaults" in document.data
    documents = [document] if plain else extended(document, reader)
    hydras = [text for text in overrides if text.lstrip("+~").startswith("hydra")]
    settings = hydra_settings(documents, parse_overrides(hydras, reader.options))
    reader.search(search_folders(settings, reader.places))  # where glob() finds options, among others
    settings = hydra_settings(documents, parse_overrides(overrides, reader.options))
    sweeps = multirun is None or multirun or settings.multirun
    if multirun:
        _check_mode(settings)
    if not sweeps:
        refuse_commas(settings.changes)
    changes, notes = without_moot(from_here(settings.changes, reader)), list[str]()
    params = sweeper_axes(settings, reader.options, 0)
    if not sweeps:
        notes = _unswept_params(settings)
        params = []
    source: Front | Plain
    if plain:
        from runner.config.plain import Plain

        source = Plain(document, changes, reader, chooser, params)
    else:
        source = Front(document, changes, reader, chooser, params)
    source.notes[:0] = notes
    source.swept.faults[:0] = settings.faults  # told with the others, of every point
    return source, settings.verbose


def _check_mode(settings: HydraSettings) -> None:
    mode = settings.mode
    if mode is not None and mode.origin.in_command and mode.value == "RUN":
        raise ConfigError([
            Fault(MODE, "RUN given, and -m asks for a sweep", "leave one of them out", mode.origin.at())
        ])


def _unswept_params(settings: HydraSettings) -> list[str]:
    """Return a note on each parameter of the sweeper, which counts in a sweep alone.

    Raises:
        ConfigError: the command gives it, and asks for no sweep.
    """
    hint = f"add -m, or write {MODE}: MULTIRUN"
    faults = [
        Fault(f"{PARAMS}.{key}", "nothing is swept", "add -m", one.origin.at())
        for key, one in settings.params.items()
        if one.origin.in_command
    ]
    if faults:
        raise ConfigError(faults)
    return [f"{PARAMS}.{key} ({one.origin.at()}): not swept; {hint}" for key, one in settings.params.items()]


def find_experiment(file: Path | str) -> Path:
    """Return the experiment file that a path or a name means.

    Raises:
        ConfigError: there is none, with the nearest.
    """
    here = Path.cwd()
    folders = [here, here / "experiments", shipped() / "experiments", shipped()]
    for folder in folders:
        for text in (file, f"{file}.yaml"):
            found = find(text, [folder])
            if found is not None and is_file(found):
                return found.resolve()
    names = _names(folders[:3])
    looked = ", ".join(dict.fromkeys(str(folder) for folder in folders[:3]))
    problem = f"no such experiment file ({no_file(file, folders) or f'looked in {looked}'})"
    hint = _beside(Path(file)) or nearest(Path(file).stem, names)
    raise ConfigError([Fault(shown_name(str(file)), problem, hint)])


def _beside(file: Path) -> str:
    """Name the experiments in the folder that was given, or the nearest to a file in the folder of that."""
    is_one = is_folder(file)
    folder = file if is_one else file.parent
    names = [path.name for path in entries(folder) if path.suffix in {".yaml", ".yml"}]
    if is_one:
        listed = [str(folder / name) for name in sorted(names)[:5]]
        return f"an experiment is a file: {', '.join(listed)}" if listed else ""
    near = closest(file.name, names)
    return f"did you mean {folder / near}?" if near else ""


def experiment_names() -> list[str]:
    """Return the names that `find_experiment` takes besides files of the working folder."""
    return _names([Path.cwd() / "experiments", shipped() / "experiments"])


def _names(folders: Sequence[Path]) -> list[str]:
    return sorted({path.stem for folder in folders for path in entries(folder) if path.suffix == ".yaml"})
