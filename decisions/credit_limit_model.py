"""The credit-limit model as MLflow runs it: released columns in, limits with reasons out.

MLflow stores this file with the model and runs it wherever the model is served. It finds its parts
(default model, feature spec, limit policy) beside it and the pure code in ``code/``, so
it needs nothing of this repository. It is a convenience for MLflow's own tools. Limitline itself
never loads a model this way: it verifies the signed folder first and then reads the parts.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import mlflow.models
import pandas as pd
import pyarrow as pa
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from decisions import scoring
from decisions.engine import Freeze
from decisions.features import FeatureSpec
from decisions.plan import Climate
from decisions.policy import LimitPolicy
from governance.errors import UsageError
from registry import serialize


class CreditLimitModel(PythonModel):
    """A calibrated default probability and a limit policy, as one model."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the three parts; types outside the allow-list are refused."""
        self.spec = FeatureSpec.load(Path(context.artifacts["features"]))
        self.policy = LimitPolicy.load(Path(context.artifacts["limit_policy"]))
        self.estimator = serialize.load(Path(context.artifacts["default_model"]))

    def predict(
        self,
        context: PythonModelContext,  # noqa: ARG002  (MLflow looks the argument up by this name)
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Decide every row.

        Parameters
        ----------
        params : dict
            ``as_of``, the day of the decision as ``YYYY-MM-DD``, must be there; ``regime``,
            ``demand_index`` and ``freeze`` as `limitline decide` takes them. A served model
            has no ledger and no decision log: who calls it says whether raises are frozen, and
            passes what was decided before, or null where it is not known.
        """
        asked = params or {}
        as_of, climate = _day(asked.get("as_of", "")), Climate.read(asked)
        frozen = asked.get("freeze", Freeze.NOTHING)
        if frozen not in set(Freeze):
            raise UsageError("The parameter freeze takes nothing or raises.")
        table = pa.Table.from_pandas(model_input, preserve_index=False)
        elsewhere = scoring.from_elsewhere(self.spec, self.policy)
        scored = scoring.score(self.estimator, self.spec, table, elsewhere)
        freeze = Freeze(frozen)
        decided = scoring.decide(self.policy, scored, as_of=as_of, freeze=freeze, climate=climate)
        place = decided.column_names.index("uplift_expires_on")
        expiry = decided["uplift_expires_on"].cast(pa.string())
        decided = decided.set_column(place, "uplift_expires_on", expiry)
        served: pd.DataFrame = decided.select(list(scoring.SERVED_COLUMNS)).to_pandas()
        return served


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(
            "The parameter as_of is the day of the decision, YYYY-MM-DD; it has no default."
        ) from None


mlflow.models.set_model(CreditLimitModel())
