"""Terms: what recorded facts, measures and recipes are called in the Chinese documents.

A name without a term is shown as it is recorded, so that nothing is dropped for want of a word.
"""

from __future__ import annotations

from collections.abc import Mapping

FACTS: Mapping[str, str] = {
    "horizon_months": "预测期限(月)",
    "target": "结果列",
    "features_id": "特征声明",
    "policy_id": "额度策略",
    "recipe": "模型配方",
    "recipe_title": "模型配方名称",
    "recipe_parameters": "模型参数",
    "seed": "随机种子",
    "iterations": "迭代次数",
    "data_contract": "数据合同",
    "data_contract_digest": "数据合同摘要",
    "data_acquired_at": "获取时间",
    "data_acquired_at_is": "获取时间的依据",
    "data_released_at": "放行时间",
    "data_title": "数据名称",
    "data_source": "数据来源",
    "data_storage_medium": "存储介质",
    "data_customers": "客户数",
    "data_digest": "数据摘要",
    "data_events": "违约数",
    "data_part": "所用部分",
    "data_rows": "训练行数",
    "data_rows_identical": "与他人完全相同的行数",
    "data_rows_read": "读取行数",
    "data_rows_superseded": "因客户再次出现而舍去的旧行数",
    "data_sampling": "采样方法",
    "data_selection": "选择偏差处理",
    "label_cutoff": "结果截止日",
    "label_observed_at": "结果获知日所在列",
    "labels_awaited": "所在月份其余结果待定的行数",
    "labels_after_cutoff": "截止日后才获知的结果数",
    "labels_immature": "观察窗未结束的行数",
    "labels_missing": "缺结果的行数",
    "labels_undated": "缺获知日的行数",
    "vintage": "账龄列",
    "segment": "客群列",
    "allowances": "解除的嫌疑",
    "code_digest": "模型代码摘要",
    "estimator_digest": "估计器摘要",
    "explanation_digest": "解释方法摘要",
    "features_digest": "特征声明摘要",
    "lock_digest": "依赖锁定摘要",
    "policy_digest": "额度策略摘要",
    "script": "脚本",
    "script_digest": "脚本摘要",
    "code_commit": "代码提交",
    "code_is_dirty": "代码是否有未提交改动",
    "hardware_machine": "处理器架构",
    "hardware_processors": "处理器数",
    "hardware_memory_gib": "内存(GiB)",
    "hardware_system": "操作系统",
    "platform": "平台",
    "python": "Python版本",
    "scikit_learn": "scikit-learn版本",
    "numpy": "NumPy版本",
    "pyarrow": "PyArrow版本",
    "duckdb": "DuckDB版本",
    "skops": "skops版本",
    "operator": "操作者",
    "operator_key_id": "操作者签名密钥",
    "started_at": "开始时间",
    "finished_at": "结束时间",
}

MEASURES: Mapping[str, str] = {
    "discrimination.auc": "区分度AUC",
    "discrimination.gini": "基尼系数",
    "discrimination.ks": "KS值",
    "calibration.brier": "布赖尔分数",
    "accuracy.log_loss": "对数损失",
    "calibration.ece": "期望校准误差",
    "calibration.ece_floor": "校准误差的噪声水平",
    "calibration.slope": "校准斜率",
    "calibration.intercept": "校准截距",
    "soundness.monotonicity_violations": "方向违反次数",
    "calibration.observed_over_expected": "实际与预期违约之比",
    "vintage.default_rate": "各账龄违约率",
    "explanation.explained": "得到至少一条原因的客户占比",
    "explanation.cited_at_best": "已处最优却被列为原因的占比",
    "explanation.counterfactual_reached": "改变建议可达到的占比",
}

RECIPES: Mapping[str, str] = {
    "champion": "单调梯度提升",
    "challenger": "单调可加梯度提升(精确分值表)",
    "pairwise": "单调梯度提升(至多两个特征交互)",
    "simpler": "四叶单调梯度提升",
    "floor": "样条逻辑回归",
}


def fact(name: str) -> str:
    """Return the term of a fact beside its recorded name."""
    return f"{FACTS[name]}({name})" if name in FACTS else name


def measure(name: str) -> str:
    """Return the term of a measure beside its name."""
    return f"{MEASURES[name]}({name})" if name in MEASURES else name
