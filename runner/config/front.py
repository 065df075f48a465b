"""Files without a ``defaults:`` list: layers in which a choice replaces and a key overlays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from runner.config.assemble import Raw, assemble
from runner.config.choices import Chooser
from runner.config.document import Document
from runner.config.hydra_settings import named
from runner.config.layers import command_layer, extended, file_layer, refuse_misplaced, split
from runner.config.overrides import Change
from runner.config.reader import Reader
from runner.config.sweep import Axis, Entry, both_ways, combinations, command_axes, file_axes, free_axes


class Front:
    """One file, what it extends, and the command line.

    Attributes:
        swept: what the files sweep, and what is wrong with that.
        axes: what is swept.
        notes: what holds for every point.
        layers: what each gives, lowest first, and the name of each.
    """

    def __init__(
        self,
        document: Document,
        changes: Sequence[Change],
        reader: Reader,
        chooser: Chooser,
        params: Sequence[Axis] = (),
    ) -> None:
        """Read what there is.

        Args:
            document: the file.
            changes: the overrides.
            reader: reads the files that it extends.
            chooser: expands choices.
            params: axes of Hydra's sweeper, which lie in the file's layer.
        """
        refuse_misplaced(changes)
        documents = extended(document, reader)
        command = command_layer(changes)
        self.layers = [*(named(file_layer(one), one) for one in documents), command]
        self.names = [*(one.origin.label for one in documents), "command line"]
        self._chooser = chooser
        self.swept = file_axes(self.layers)
        self.swept.faults.extend(both_ways(self.swept.sound, params))
        params = [replace(axis, layer=len(documents) - 1) for axis in params]
        axes = [*self.swept.sound, *params, *command_axes(changes, len(self.layers) - 1)]
        self._swept = {split(key) for axis in axes for key in axis.keys}
        self.axes, self.notes = free_axes(axes, self.layers)

    def combinations(self) -> Iterator[tuple[tuple[Axis, Entry], ...]]:
        """Yield what each point sets."""
        return combinations(self.axes)

    def raw(self, combination: tuple[tuple[Axis, Entry], ...] = ()) -> Raw:
        """Return the config of one point."""
        layers = list(self.layers)
        for axis, entry in combination:
            layers[axis.layer] = layers[axis.layer].given(entry)
        return assemble(layers, self._chooser, self._swept)
