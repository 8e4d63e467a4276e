"""Checkpoint: the states of devices as plain data and back.

Plain data are dicts, lists, ints, floats, strings, booleans, None and bytes; fields go by name.  A state class is an
attrs class of such values, tuples, bytearrays and further attrs classes, so that no device saves itself by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import attrs
import cattrs

from vpcore.errors import CheckpointError

StateT = TypeVar("StateT")

_PLAIN: Final = (int, float, str, bool)


def to_data(state: Any) -> Any:
    """A device's state as plain data that shares nothing with it."""
    return _CONVERTER.unstructure(state)


def from_data(data: Any, kind: type[StateT]) -> StateT:
    """The state of class *kind* that `to_data` gave.

    Raises `CheckpointError` naming the field: data of another class, of another version of it, or damaged.
    """
    return _CONVERTER.structure(data, kind)


def copy_of(state: StateT) -> StateT:
    """A state equal to *state* that shares nothing with it."""
    return from_data(to_data(state), type(state))


def _structure_plain(value: Any, kind: type) -> Any:
    if type(value) is kind:
        return value
    raise CheckpointError(f"must be {kind.__name__} (got {value!r:.40})")


def _structure_bytes(value: Any, kind: type) -> Any:
    if isinstance(value, bytes):
        return kind(value)
    raise CheckpointError(f"must be bytes (got {value!r:.40})")


def _structurer_of(kind: type[Any]) -> Callable[[Any, Any], Any]:
    """What makes an attrs class from a dict with exactly its fields."""
    attrs.resolve_types(kind)
    fields = {field.name: field for field in attrs.fields(kind)}

    def structure(value: Any, _kind: Any) -> Any:
        if not isinstance(value, dict):
            raise CheckpointError(f"{kind.__name__} must be a table (got {value!r:.40})")
        for name in fields.keys() ^ value.keys():
            which = "is missing" if name in fields else "is not known"
            raise CheckpointError(f"{kind.__name__}: field {name!r} {which}: the checkpoint is of another version")
        arguments = {}
        for name, field in fields.items():
            try:
                arguments[field.alias] = _CONVERTER.structure(value[name], field.type)
            except CheckpointError as error:
                raise CheckpointError(f"{kind.__name__}.{name}: {error}") from None
            except (cattrs.BaseValidationError, cattrs.StructureHandlerNotFoundError, TypeError, ValueError) as error:
                raise CheckpointError(f"{kind.__name__}.{name}: {error}") from error
        return kind(**arguments)

    return structure


def _make_converter() -> cattrs.Converter:
    converter = cattrs.Converter(detailed_validation=False)
    for plain in _PLAIN:
        converter.register_structure_hook(plain, _structure_plain)
    for buffer in (bytes, bytearray):
        converter.register_structure_hook(buffer, _structure_bytes)
    converter.register_unstructure_hook(bytearray, bytes)
    converter.register_structure_hook_factory(attrs.has, _structurer_of)
    return converter


_CONVERTER: Final = _make_converter()
