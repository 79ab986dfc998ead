"""The model's reasons of a whole vintage, found only for the decisions that need them.

Two passes, both streamed: the log says whom to ask about, the pinned table gives their rows. What
stays in memory is twenty bytes for each such customer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from decisions import replay
from decisions.decision_log import DecisionLog
from decisions.explaining.adverse import REFINED, Explainer, Places
from decisions.explanation import MOST_REASONS
from decisions.reasons import Text
from governance.outcome import Outcome
from governance.settings import Settings
from privacy.feature_table import PSEUDONYM
from privacy.keyring import Keyring
from privacy.pseudonym import PSEUDONYM_TYPE


@dataclass(frozen=True, slots=True, kw_only=True)
class VintageReasons:
    """What the model cites for the customers of a vintage whose limit it helped to cut.

    Parameters
    ----------
    customers : pyarrow.Array
        Their pseudonyms, ``(n,)``.
    cited : ndarray of int64, shape (n, 4)
        Positions of the cited groups; -1 where there are fewer.
    """

    explainer: Explainer
    customers: pa.Array
    cited: Places

    @property
    def outcome(self) -> Outcome:
        """``INCONCLUSIVE`` if the model gives no reasons and those of the policy stand alone."""
        return Outcome.INCONCLUSIVE if self.explainer.problem else Outcome.PASS

    def texts(self, batch: pa.RecordBatch) -> list[tuple[Text, ...]]:
        """Return the refining texts of each logged decision; empty where there are none."""
        places = pc.index_in(batch[PSEUDONYM], value_set=self.customers).to_pylist()
        rows = zip(places, batch["reasons"].to_pylist(), batch["action"].to_pylist(), strict=True)
        return [
            ()
            if place is None
            else self.explainer.told(self.cited[place].tolist(), int(mask), action)
            for place, mask, action in rows
        ]


def of_log(settings: Settings, log: DecisionLog, *, keyring: Keyring) -> VintageReasons:
    """Ask the model that decided a vintage about every customer whose limit its risk cut.

    Raises
    ------
    IntegrityError
        If log, model or table are not what they were when the decisions were made.
    """
    explainer = Explainer.of(replay.pinned_engine(settings, log))
    customers = _cut_by_risk(log) if not explainer.problem else pa.array([], PSEUDONYM_TYPE)
    if not len(customers):
        nobody = np.empty((0, MOST_REASONS), dtype=np.int64)
        return VintageReasons(explainer=explainer, customers=customers, cited=nobody)
    found, cited = [], []
    for batch in replay.pinned_table(settings, log, keyring=keyring).reader():
        rows = batch.filter(pc.is_in(batch[PSEUDONYM], value_set=customers))
        if rows.num_rows:
            found.append(rows[PSEUDONYM])
            cited.append(explainer.cited(pa.Table.from_batches([rows])))
    return VintageReasons(
        explainer=explainer, customers=pa.concat_arrays(found), cited=np.concatenate(cited)
    )


def _cut_by_risk(log: DecisionLog) -> pa.Array:
    wanted = int(sum(REFINED))
    parts = [
        batch[PSEUDONYM].filter(
            pc.and_(
                pc.equal(batch["action"], "cut"),
                pc.not_equal(pc.bit_wise_and(batch["reasons"], wanted), 0),
            )
        )
        for batch in log.reader((PSEUDONYM, "action", "reasons"))
    ]
    return pa.concat_arrays(parts) if parts else pa.array([], PSEUDONYM_TYPE)
