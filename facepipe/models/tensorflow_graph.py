"""Reads frozen TensorFlow graphs without TensorFlow.

A frozen graph is one protobuf message. The few message types in it are decoded here from the wire format
(protobuf.dev, "Encoding"); the field numbers are those of TensorFlow's graph.proto, node_def.proto, attr_value.proto,
tensor.proto and tensor_shape.proto. The bytes may come from anywhere: whatever is malformed ends in a WeightsError.
"""

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from facepipe.errors import WeightsError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types; groups (3, 4) are long deprecated
DTYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype("<f4"),
    3: np.dtype("<i4"),
    9: np.dtype("<i8"),
}  # DT_FLOAT, DT_INT32, DT_INT64
MAX_ELEMENTS = 1 << 26  # of one tensor: a few bytes may claim any shape
VALUE_FIELDS = {1: 5, 3: 7, 9: 10}  # float_val, int_val, int64_val of tensor.proto

Attribute = bytes | int | float | bool | list[int] | np.ndarray


@dataclass(frozen=True)
class Node:
    """One operation.

    Attributes:
        name: unique in its graph.
        op: what it computes, such as `Conv2D`.
        inputs: names of the nodes it reads, output `:0` left off; control inputs (`^name`) left out.
        attributes: by name; a tensor as an array, of the others bytes, int, float, bool and lists of int.
    """

    name: str
    op: str
    inputs: tuple[str, ...] = ()
    attributes: dict[str, Attribute] = field(default_factory=dict)


def read_graph(data: bytes) -> dict[str, Node]:
    """Return the nodes of a serialized GraphDef by name, in the file's order.

    Raises:
        WeightsError: the bytes are no GraphDef, or use types of tensors that are not supported.
    """
    try:
        nodes = [_node(value) for number, value in _fields(memoryview(data)) if number == 1]
    except (ValueError, IndexError, TypeError, struct.error, OverflowError) as error:
        raise WeightsError(f"not a readable TensorFlow graph ({error}): get the file again") from error
    graph = {node.name: node for node in nodes}
    if not graph or len(graph) != len(nodes):
        raise WeightsError("not a readable TensorFlow graph (no nodes, or two of one name): get the file again")
    return graph


def constant(graph: Mapping[str, Node], name: str) -> np.ndarray:
    """Return the value of a Const node.

    Raises:
        WeightsError: there is no such node, or it is no constant.
    """
    node = graph.get(name)
    value = node.attributes.get("value") if node is not None and node.op == "Const" else None
    if not isinstance(value, np.ndarray):
        raise WeightsError(f"the TensorFlow graph has no constant {name!r}: it is of another network")
    return value


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """Return the unsigned integer at an offset, and the offset after it."""
    value = 0
    for count in range(10):  # 64 bits need at most ten bytes of seven
        byte = data[at + count]
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at + count + 1
    raise ValueError("an integer of more than 64 bits")


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield (field number, value) of a message: integers as unsigned, the rest as views of their bytes."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        wire_type = key & 7
        if wire_type == VARINT:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        if wire_type == BYTES:
            size, at = _varint(data, at)
        elif wire_type in (FIXED32, FIXED64):
            size = 4 if wire_type == FIXED32 else 8
        else:
            raise ValueError(f"wire type {wire_type}")
        if size > len(data) - at:
            raise ValueError("a field reaches beyond the end")
        yield key >> 3, data[at : at + size]
        at += size


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _integer(value: int | memoryview) -> int:
    if isinstance(value, memoryview):
        raise TypeError("bytes where an integer belongs")
    return _signed(value)


def _bytes(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise TypeError("an integer where bytes belong")
    return value


def _text(value: int | memoryview) -> str:
    return bytes(_bytes(value)).decode()


def _node(value: int | memoryview) -> Node:
    name, op = "", ""
    inputs: list[str] = []
    attributes: dict[str, Attribute] = {}
    for number, part in _fields(_bytes(value)):
        if number == 1:
            name = _text(part)
        elif number == 2:
            op = _text(part)
        elif number == 3:
            inputs.append(_text(part))
        elif number == 5:
            entry = dict(_fields(_bytes(part)))
            attribute = _attribute(_bytes(entry.get(2, memoryview(b""))))
            if attribute is not None:
                attributes[_text(entry[1] if 1 in entry else memoryview(b""))] = attribute
    if not name or not op:
        raise ValueError("a node without a name or an operation")
    data_inputs = tuple(source.removesuffix(":0") for source in inputs if not source.startswith("^"))
    return Node(name, op, data_inputs, attributes)


def _attribute(data: memoryview) -> Attribute | None:
    """Return an attribute's value; None for kinds that no supported operation needs (shapes, functions)."""
    result: Attribute | None = None
    for number, value in _fields(data):
        if number == 1:
            result = [integer for item, part in _fields(_bytes(value)) if item == 3 for integer in _integers(part)]
        elif number == 2:
            result = bytes(_bytes(value))
        elif number in (3, 6):
            result = _integer(value)
        elif number == 4:
            result = float(struct.unpack("<f", _bytes(value))[0])
        elif number == 5:
            result = bool(_integer(value))
        elif number == 8:
            result = _tensor(_bytes(value))
    return result


def _integers(value: int | memoryview) -> list[int]:
    """Return the integers of one occurrence of a repeated field: a single one, or many packed."""
    if isinstance(value, int):
        return [_signed(value)]
    integers, at = [], 0
    while at < len(value):
        integer, at = _varint(value, at)
        integers.append(_signed(integer))
    return integers


def _tensor(data: memoryview) -> np.ndarray:
    """Return a TensorProto as an array; one value stands for all elements where the shape has more."""
    code = 0
    shape: tuple[int, ...] = ()
    content = memoryview(b"")
    fields = list(_fields(data))
    for number, value in fields:
        if number == 1:
            code = _integer(value)
        elif number == 2:
            shape = _shape(_bytes(value))
        elif number == 4:
            content = _bytes(value)
    if code not in DTYPES:
        raise ValueError(f"a tensor of type {code}")
    if math.prod(shape) > MAX_ELEMENTS:
        raise ValueError(f"a tensor of shape {shape}")
    dtype = DTYPES[code]
    if len(content):
        return np.frombuffer(content, dtype).reshape(shape)
    listed = [value for number, value in fields if number == VALUE_FIELDS[code]]
    if dtype.kind == "f":
        flat = np.frombuffer(b"".join(bytes(_bytes(value)) for value in listed), dtype)
    else:
        flat = np.array([integer for value in listed for integer in _integers(value)], dtype)
    return flat.reshape(shape) if flat.size == math.prod(shape) else np.broadcast_to(flat.reshape(1), shape)


def _shape(data: memoryview) -> tuple[int, ...]:
    sizes = []
    for number, value in _fields(data):
        if number == 2:
            sizes.append(next((_integer(size) for item, size in _fields(_bytes(value)) if item == 1), 0))
    if any(size < 0 for size in sizes):
        raise ValueError("a constant of unknown shape")
    return tuple(sizes)
