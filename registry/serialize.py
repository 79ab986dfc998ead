"""Estimator files: written with skops, held against a list of types that this host allows.

The list lives here and never in the file: a file that may say which types to trust is a file that
may run code. It is stricter than skops' own default, which trusts every public scikit-learn class.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from governance import canonical
from governance.errors import ContractError, IntegrityError

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

_HGB = "sklearn.ensemble._hist_gradient_boosting"

ALLOWED_TYPES = frozenset(
    {
        "builtins.NoneType",
        "builtins.bool",
        "builtins.dict",
        "builtins.float",
        "builtins.int",
        "builtins.list",
        "builtins.slice",
        "builtins.str",
        "builtins.tuple",
        "numpy.bool",
        "numpy.dtype",
        "numpy.float32",
        "numpy.float64",
        "numpy.int64",
        "numpy.ndarray",
        "numpy.random._generator.Generator",
        "numpy.uint32",
        "numpy.uint64",
        "numpy.uint8",
        # A SplineTransformer keeps splines, and a spline keeps the function that made its array.
        "scipy._lib.array_api_compat.numpy._aliases.asarray",
        "scipy.interpolate._bsplines.BSpline",
        "sklearn._loss._loss.CyHalfBinomialLoss",
        "sklearn._loss.link.Interval",
        "sklearn._loss.link.LogitLink",
        "sklearn._loss.loss.HalfBinomialLoss",
        "sklearn.calibration.CalibratedClassifierCV",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.compose._column_transformer.ColumnTransformer",
        f"{_HGB}.binning._BinMapper",
        f"{_HGB}.gradient_boosting.HistGradientBoostingClassifier",
        f"{_HGB}.predictor.TreePredictor",
        "sklearn.impute._base.SimpleImputer",
        "sklearn.isotonic.IsotonicRegression",
        "sklearn.linear_model._logistic.LogisticRegression",
        "sklearn.pipeline.Pipeline",
        "sklearn.preprocessing._data.StandardScaler",
        "sklearn.preprocessing._function_transformer.FunctionTransformer",
        "sklearn.preprocessing._label.LabelEncoder",
        "sklearn.preprocessing._polynomial.SplineTransformer",
    }
)
"""What boosted trees, calibration and an additive logistic pipeline need, and nothing else."""

ALLOWED_NODES = frozenset(
    {
        "CachedNode",
        "DTypeNode",
        "DictNode",
        "FunctionNode",
        "JsonNode",
        "ListNode",
        "LossNode",
        "NdArrayNode",
        "ObjectNode",
        "RandomGeneratorNode",
        "SliceNode",
        "TupleNode",
        "TypeNode",
    }
)
"""How skops may build an object; partial functions, methods and operators are not among them."""


def dump(estimator: BaseEstimator, path: Path) -> str:
    """Write `estimator` to `path` and return its canonical digest.

    Raises
    ------
    ContractError
        If it holds a type outside the list; nothing is written.
    """
    import skops.io

    # This module travels inside the model, where nothing is ever written; hence the local import.
    from governance import durable

    with durable.replacing(path) as staged:
        staged.write_bytes(_without_addresses(skops.io.dumps(estimator)))
        foreign = foreign_types(staged)
        if foreign:
            raise ContractError(
                f"The estimator holds {', '.join(foreign[:3])}; registry.serialize allows plain "
                "scikit-learn classes only. Fit one of those."
            )
    return canonical_digest(path)


def _without_addresses(data: bytes) -> bytes:
    """Renumber the ids of a skops archive and name its members after them.

    skops takes memory addresses for ids: fifteen digits, which a leak scan cannot tell from the
    older form of a resident id, and which differ from process to process.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    names: dict[str, str] = {}
    ids: dict[Any, int] = {}
    schema = _rewritten(
        json.loads(held.pop("schema.json")),
        lambda found: ids.setdefault(found, len(ids) + 1),
        lambda file: names.setdefault(file, f"{len(names) + 1}{Path(file).suffix}"),
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        members = {names[name]: content for name, content in held.items()}
        for name, content in sorted(members.items()):
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
        text = json.dumps(schema, indent=2).encode()
        archive.writestr(zipfile.ZipInfo("schema.json"), text, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _rewritten(
    node: Any,
    number: Callable[[Any], int],
    named: Callable[[str], str],
    dropped: frozenset[str] = frozenset(),
) -> Any:
    """Return a schema with other ids and names of files, and without what is dropped."""
    if isinstance(node, list):
        return [_rewritten(item, number, named, dropped) for item in node]
    if not isinstance(node, dict):
        return node
    result: dict[str, Any] = {}
    for name, item in node.items():
        if name == "__id__":
            result[name] = number(item)
        elif name == "file" and isinstance(item, str):
            result[name] = named(item)
        elif name in dropped:
            # Nothing below is visited: a small number shares its id with equal numbers elsewhere.
            result[name] = None
        else:
            result[name] = _rewritten(item, number, named, dropped)
    return result


def load(path: Path) -> BaseEstimator:
    """Load an estimator whose bytes are already verified.

    Raises
    ------
    IntegrityError
        If the file names a type outside the list, or is not a skops file.
    """
    import skops.io

    foreign = foreign_types(path)
    if foreign:
        raise IntegrityError(
            f"{path.name} names {', '.join(foreign[:3])}, which this host does not allow. "
            "It was not loaded."
        )
    untrusted = skops.io.get_untrusted_types(file=path)
    return skops.io.load(path, trusted=[name for name in untrusted if name in ALLOWED_TYPES])


def foreign_types(path: Path) -> list[str]:
    """Return the types and node kinds in a skops file that this host does not allow, sorted."""
    foreign = set()
    for node in _nodes(_schema(path)):
        if "__class__" in node:
            name = f"{node.get('__module__')}.{node['__class__']}"
            foreign |= {name} - ALLOWED_TYPES
        if "__loader__" in node:
            foreign |= {str(node["__loader__"])} - ALLOWED_NODES
    return sorted(foreign)


def canonical_digest(path: Path) -> str:
    """Return a digest that two dumps of equal estimators share, whatever their addresses.

    The bytes of a skops file are not stable: it holds memory addresses as ids, array members are
    named after them, and the archive holds times. Ids are renumbered in order of appearance and
    members are replaced by their SHA-256. How many threads a fit could use is no part of what it
    learned and is left out.
    """
    with zipfile.ZipFile(path) as archive:
        members = {
            name: hashlib.sha256(archive.read(name)).hexdigest()
            for name in archive.namelist()
            if name != "schema.json"
        }
    ids: dict[Any, int] = {}
    schema = _rewritten(
        _schema(path),
        lambda found: ids.setdefault(found, len(ids)),
        lambda file: members[file],
        dropped=_OF_THE_MACHINE,
    )
    return canonical.digest(schema)


_OF_THE_MACHINE = frozenset({"n_threads"})


def _schema(path: Path) -> Any:
    try:
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read("schema.json"))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        raise IntegrityError(f"{path.name} is not a skops file.") from None


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from _nodes(item)
    elif isinstance(value, list):
        for item in value:
            yield from _nodes(item)
