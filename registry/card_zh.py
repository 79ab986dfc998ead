"""The card in Chinese: what its English part says, in a few lines."""

from __future__ import annotations

from collections.abc import Iterator

from governance.appetite import RiskAppetite
from governance.evidence import Decision
from governance.outcome import Outcome
from registry.record import Record, read_decision, read_evidence, waiver_key

_STATES = {
    "submitted": "已提交，尚未验证",
    "validated": "已验证，尚未过闸",
    "refused": "闸门拒绝",
    "gate open": "闸门已开，待批准",
    "champion": "现役模型",
    "retired": "已退役",
}
_OUTCOMES = {
    Outcome.BREACH: "违反（BREACH）",
    Outcome.INCONCLUSIVE: "无法判断（INCONCLUSIVE）",
    Outcome.PASS: "通过（PASS）",
    Outcome.INFO: "仅供参考（INFO）",
}
_LINEAGE = {
    "data_contract": "数据合同",
    "data_rows": "训练行数",
    "data_events": "违约数",
    "horizon_months": "预测期限（月）",
    "features_id": "特征声明",
    "policy_id": "额度策略",
    "recipe": "模型",
}


def summarize(record: Record, version: int, stands: str) -> Iterator[str]:
    """Yield state, verdicts, people and data of a version that stands at `stands`."""
    lineage = record.manifest(version).statement.predicate["lineage"]
    entry, evidence = record.decision(version), record.evidence(version)
    still_open = [finding for finding in record.findings(version) if finding.closed_on is None]
    yield f"**中文摘要。** 额度模型第 {version} 版：违约概率加额度策略，用于存量客户的额度调整；"
    yield "不用于首次申请、定价或催收。"
    yield f"当前状态：{_STATES[stands]}。结论以签名台账为准，本页只是其投影。"
    yield ""
    if entry is not None:
        decision, appetite = read_decision(entry)
        yield f"- 闸门（{decision.decided_on}）：{_OUTCOMES[decision.outcome]}"
        yield f"- 准入所需指标：{_counted(decision, appetite)}"
        if decision.refusals:
            yield f"- 拒绝理由 {len(decision.refusals)} 条，见 Verdicts"
    else:
        yield "- 闸门：尚未判定" if evidence is not None else "- 尚未验证"
    if evidence is not None:
        yield f"- 未经证明的事项 {len(read_evidence(evidence).not_evidenced)} 条，见 Not evidenced"
    yield f"- 批准 {len(record.approvals(version))} 份，豁免 {len(record.waivers(version))} 项"
    yield f"- 未关闭的发现 {len(still_open)} 项，开发方研究 {len(record.studies(version))} 项"
    told = (f"{title} {lineage[name]}" for name, title in _LINEAGE.items() if name in lineage)
    yield f"- 开发方签名的事实：{'；'.join(told) or '无'}"


def _counted(decision: Decision, appetite: RiskAppetite) -> str:
    required = [item for item in decision.judged if appetite.requires(item, decision.decided_on)]
    waived = {waiver_key(waiver) for waiver in decision.waived}
    told = []
    for outcome, title in _OUTCOMES.items():
        found = [item for item in required if item.outcome is outcome]
        excused = sum(item.key in waived for item in found)
        if found:
            said = f"（其中豁免 {excused} 项）" if excused else ""
            told.append(f"{title} {len(found)} 项{said}")
    return "，".join(told) or "无"
