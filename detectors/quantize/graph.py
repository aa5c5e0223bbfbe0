"""An ONNX graph to read and rewrite: who makes a tensor, who takes it, what is constant."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import NodeProto, numpy_helper

from pipeline.core.arrays import AnyArray
from pipeline.core.errors import EngineLoadError


class Graph:
    """The main graph of a model, with its constants as arrays, their casts and copies done."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self.constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        self.nodes = [node for node in model.graph.node if not self._fold(node)]
        self.producers = {name: node for node in self.nodes for name in node.output}
        self.consumers: dict[str, list[NodeProto]] = defaultdict(list)
        for node in self.nodes:
            for name in node.input:
                self.consumers[name].append(node)

    @classmethod
    def load(cls, path: Path) -> Graph:
        """Read a model file. Raises `EngineLoadError` when it is no ONNX file."""
        try:
            return cls(onnx.load(path))
        except DecodeError as error:
            raise EngineLoadError(f"model {path}: is no ONNX file") from error

    def layer_names(self) -> list[str]:
        """The names of all convolutions, transposed ones too, in graph order."""
        return [node.name for node in self.nodes if node.op_type in ("Conv", "ConvTranspose")]

    def rebuilt(
        self, nodes: Iterable[NodeProto], constants: dict[str, AnyArray]
    ) -> onnx.ModelProto:
        """The model with other nodes; of the constants only those that the nodes use are kept."""
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        del model.graph.node[:], model.graph.initializer[:], model.graph.value_info[:]
        model.graph.node.extend(nodes)
        used = {name for node in model.graph.node for name in node.input}
        model.graph.initializer.extend(
            numpy_helper.from_array(value, name)
            for name, value in constants.items()
            if name in used
        )
        return model

    def _fold(self, node: NodeProto) -> bool:
        """Take a Constant, or a Cast or an Identity of a constant, into the constants."""
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            self.constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
            return True
        if node.op_type == "Cast" and node.input[0] in self.constants:
            to = onnx.helper.tensor_dtype_to_np_dtype(node.attribute[0].i)
            self.constants[node.output[0]] = self.constants[node.input[0]].astype(to)
            return True
        if node.op_type == "Identity" and node.input[0] in self.constants:
            self.constants[node.output[0]] = self.constants[node.input[0]]
            return True
        return False
