"""Names: what a measure is called where a person reads it, in English and Chinese."""

from __future__ import annotations

_MEASURES = {
    "labels.unknown": ("Without a known outcome", "结果未知"),
    "drift.stability_index": ("Stability index (PSI)", "稳定性指数"),
    "misjudgment.good_cut": ("Good customers cut", "好客户被降额"),
    "misjudgment.bad_raised": ("Bad customers raised", "坏客户被提额"),
    "misjudgment.bad_share_of_raised": ("Bad among the raised", "提额客户中的坏客户"),
    "misjudgment.good_share_of_cut": ("Good among the cut", "降额客户中的好客户"),
    "misjudgment.wrong_raise": ("Raised to bad customers", "误提金额"),
    "misjudgment.wrong_cut": ("Cut from good customers", "误降金额"),
    "fairness.coverage": ("Customers of a known group", "已知群组占比"),
    "fairness.approve_ratio": ("Approval ratio", "准入比"),
    "fairness.raise_ratio": ("Raise ratio", "提额比"),
    "fairness.cut_ratio": ("Cut ratio", "降额比"),
    "fairness.good_cut_ratio": ("Cut-though-good ratio", "好客户降额比"),
    "discrimination.auc": ("Area under the ROC curve", "区分度 AUC"),
    "discrimination.ks": ("Kolmogorov-Smirnov distance", "KS 值"),
    "calibration.observed_over_expected": ("Defaults observed / expected", "实际/预期违约"),
    "calibration.slope": ("Calibration slope", "校准斜率"),
    "calibration.intercept": ("Calibration intercept", "校准截距"),
    "calibration.brier": ("Brier score", "布里尔分数"),
    "calibration.ece": ("Expected calibration error", "校准误差"),
    "calibration.ece_floor": ("Its noise floor", "校准误差噪声底"),
    "stability.score_psi": ("Score stability (PSI)", "评分稳定性"),
    "soundness.monotonicity_violations": ("Worse behavior rewarded", "单调性违反"),
    "soundness.feedback_share": ("Safer by a higher limit", "额度反馈"),
}


def name_of(measure: str) -> tuple[str, str]:
    """Return the English and Chinese name of a measure."""
    return _MEASURES.get(measure, (measure.rpartition(".")[2].replace("_", " "), ""))
