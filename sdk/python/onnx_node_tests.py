"""Writes the ONNX backend node tests of the installed `onnx` package as files.

    python sdk/python/onnx_node_tests.py FOLDER

One folder per test: `model.onnx`, `input_N.pb` and `output_N.pb` (TensorProto; a test with a value that is no
tensor gets an empty file `not_tensors` instead), and `tolerance` with rtol and atol.
"""

import pathlib
import sys

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases


def tensors(values, names):
    for value, name in zip(values, names):
        if isinstance(value, onnx.TensorProto):
            yield value
            continue
        if value is None or isinstance(value, (list, dict)):
            raise TypeError(name)
        yield numpy_helper.from_array(np.asarray(value), name)


def main(target):
    target.mkdir(parents=True, exist_ok=True)
    seen = set()
    for case in collect_testcases(None):
        if case.name in seen:
            continue
        seen.add(case.name)
        folder = target / case.name
        folder.mkdir(exist_ok=True)
        (folder / "model.onnx").write_bytes(case.model.SerializeToString())
        (folder / "tolerance").write_text(f"{case.rtol} {case.atol}")
        inputs, outputs = case.data_sets[0]
        graph = case.model.graph
        try:
            for prefix, values, infos in (("input", inputs, graph.input), ("output", outputs, graph.output)):
                for place, tensor in enumerate(tensors(values, [info.name for info in infos])):
                    tensor.name = infos[place].name
                    (folder / f"{prefix}_{place}.pb").write_bytes(tensor.SerializeToString())
        except Exception:
            (folder / "not_tensors").write_text("")
    (target / "version").write_text(onnx.__version__)
    print(len(seen), "tests")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
