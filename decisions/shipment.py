"""A shipment: what a worker is handed to decide its partition, with the digests that it checks.

A worker shares no memory with the driver that verified the model. It is handed the bytes and holds
them, its own code included, against the digests before it decides the first row.
"""

from __future__ import annotations

import functools
import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from decisions import engine, model, scoring
from decisions.features import FeatureSpec
from decisions.plain_table import Moment, Source
from decisions.policy import LimitPolicy
from governance.errors import IntegrityError
from privacy import assignment
from privacy.feature_table import ASSIGNMENT

if TYPE_CHECKING:
    from decisions.book import Engine

# Spark has no unsigned integers; the mask of reasons fits a signed one of the next size.
DECIDED = pa.schema(
    [
        field.with_type(pa.int64()) if field.type == pa.uint32() else field
        for field in engine.OUTPUT_SCHEMA
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorer:
    """A verified default model as bytes, with its features.

    Parameters
    ----------
    keep : tuple of str
        Columns that are carried along, such as the customer.
    """

    spec: FeatureSpec
    spec_digest: str
    estimator: bytes
    estimator_sha256: str
    keep: tuple[str, ...]

    @classmethod
    def of(cls, champion: Engine, keep: tuple[str, ...]) -> Scorer:
        """Pack a model that `registry.load.load_verified` has verified, from its private copy."""
        from registry.load import ESTIMATOR_FILE

        content = (champion.verified.folder / ESTIMATOR_FILE).read_bytes()
        return cls(
            spec=champion.spec,
            spec_digest=champion.spec.digest,
            estimator=content,
            estimator_sha256=hashlib.sha256(content).hexdigest(),
            keep=keep,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """Policy, moment and, for rows without a default probability, the model.

    Parameters
    ----------
    source : Source or None
        The plain table whose rows come with their default probability; each batch is checked as
        the embedded engine checks it.
    scorer : Scorer or None
        The model, if the rows are released columns.
    """

    policy: LimitPolicy
    policy_digest: str
    code_digest: str
    moment: Moment
    source: Source | None = None
    scorer: Scorer | None = None

    @classmethod
    def of(
        cls,
        policy: LimitPolicy,
        moment: Moment,
        *,
        source: Source | None = None,
        scorer: Scorer | None = None,
    ) -> Shipment:
        """Pack what one run needs."""
        return cls(
            policy=policy,
            policy_digest=policy.digest,
            code_digest=model.code_digest(),
            moment=moment,
            source=source,
            scorer=scorer,
        )

    def decided(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Decide one partition, batch by batch.

        Raises
        ------
        IntegrityError
            If policy, features, model or the worker's own code differ from what was shipped.
        ContractError
            As `decisions.engine.decide`.
        """
        estimator = self._verified()
        for batch in batches:
            if batch.num_rows:
                yield self._decided(batch, estimator)

    def _verified(self) -> Any:
        if self.policy.digest != self.policy_digest:
            raise _differs("limit policy")
        if model.code_digest() != self.code_digest:
            raise _differs("engine's code")
        if self.scorer is None:
            return None
        if self.scorer.spec.digest != self.scorer.spec_digest:
            raise _differs("feature spec")
        return _estimator(self.scorer.estimator, self.scorer.estimator_sha256)

    def _decided(self, batch: pa.RecordBatch, estimator: Any) -> pa.RecordBatch:
        moment, scorer = self.moment, self.scorer
        if scorer is not None:
            table = scoring.score(estimator, scorer.spec, _unsigned(batch), _kept(self))
            if self.policy.experiment is not None:
                table = table.append_column("arm", assignment.arm(table[ASSIGNMENT]))
            rows, carried = table.combine_chunks().to_batches()[0], scorer.keep
            carried = (*carried, scoring.DEFAULT_PROBABILITY)
        else:
            rows = batch if self.source is None else self.source.checked(batch)
            carried = tuple(batch.schema.names)
        made = engine.decide(
            self.policy, rows, as_of=moment.as_of, freeze=moment.freeze, climate=moment.climate
        )
        # What is carried along goes back as it came, not in the engine's types.
        columns = {
            name: batch[name] if name in batch.schema.names else rows[name] for name in carried
        }
        columns |= {field.name: made[field.name].cast(field.type) for field in DECIDED}
        return pa.RecordBatch.from_pydict(columns)


def _kept(shipment: Shipment) -> list[str]:
    return [] if shipment.policy.experiment is None else [ASSIGNMENT]


def _unsigned(batch: pa.RecordBatch) -> pa.Table:
    """Give the assignment back the type that Spark does not have."""
    table = pa.Table.from_batches([batch])
    if ASSIGNMENT not in table.column_names:
        return table
    place = table.column_names.index(ASSIGNMENT)
    return table.set_column(place, ASSIGNMENT, table[ASSIGNMENT].cast(pa.uint32()))


@functools.lru_cache(maxsize=2)
def _estimator(content: bytes, sha256: str) -> Any:
    """Load the default model; the digest first, then the types, then the object."""
    from registry import serialize

    if hashlib.sha256(content).hexdigest() != sha256:
        raise _differs("default model")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "default_model.skops"
        place.write_bytes(content)
        return serialize.load(place)


def _differs(what: str) -> IntegrityError:
    return IntegrityError(
        f"The {what} on a worker is not the one that was shipped. Install the same release on "
        "every worker and run again; nothing was decided."
    )
