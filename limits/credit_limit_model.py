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

from limits import scoring
from limits.features import FeatureSpec
from limits.policy import LimitPolicy
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
        """Decide every row; ``params["as_of"]`` is the day of the decision, ``YYYY-MM-DD``."""
        as_of = date.fromisoformat((params or {})["as_of"])
        table = pa.Table.from_pandas(model_input, preserve_index=False)
        scored = scoring.score(self.estimator, self.spec, table)
        decided = scoring.decide(self.policy, scored, as_of=as_of)
        columns = ["default_probability", "limit_before_minor", "limit_after_minor"]
        served: pd.DataFrame = decided.select([*columns, "action", "reasons"]).to_pandas()
        return served


mlflow.models.set_model(CreditLimitModel())
