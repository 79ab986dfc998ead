"""The fixed words of the generated documents, in English and Chinese; every number is a fact's."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Language(StrEnum):
    """A language of the generated documents."""

    EN = "en"
    ZH = "zh"


Both = Mapping[Language, str]


def _both(en: str, zh: str) -> Both:
    return {Language.EN: en, Language.ZH: zh}


WORDS: Mapping[str, Both] = {
    "model_card": _both("Model card", "模型卡"),
    "technical_file": _both("Technical file", "技术文件"),
    "origin": _both(
        "Written by a program from recorded facts. It judges nothing: whether the model may be "
        "used is decided by the gate and by people, and no statement about any law is made here.",
        "本文件由程序根据已记录的事实生成,不作任何判断:模型能否使用由闸门和人员决定,本文件不对任何"
        "法律作出结论。括号与反引号内为记录的名称与原值;特征、策略及其来源保留声明时的语言。",
    ),
    "use": _both("Use", "用途"),
    "limits_of_use": _both("Limits of use", "使用限制"),
    "data": _both("Data", "数据"),
    "features": _both("Features", "特征"),
    "policy": _both("Limit policy", "额度策略"),
    "evaluation": _both("Evaluation, out-of-fold, open customers", "评估(折外,开放客户)"),
    "directions": _both(
        "Violations: worsenings of one feature with a declared direction that lower the default "
        "probability of the model as handed over; n counts features times customers, so there is "
        "no interval.",
        "方向违反次数:将某一声明了方向的特征调差后,所交付模型的违约概率反而下降的次数;n为特征数乘"
        "客户数,故无区间。",
    ),
    "breakdown": _both("Evaluation by segment and over time", "按客群与时间的评估"),
    "reasons": _both("Reasons told to customers", "向客户说明的原因"),
    "method_ablation": _both(
        "Each group of features is set to the reference, all else kept, and the model is asked "
        "again; the fall of the log-odds is the group's share. Groups interact: shares do not add "
        "up to the whole.",
        "逐组将特征置为参照值,其余不变,再次询问模型;对数几率的下降即该组的份额。各组之间存在"
        "交互,份额之和不等于总量。",
    ),
    "method_rules": _both(
        "At most four groups are told, only those that raise the risk and, where directions are "
        "declared, are worse than the reference in one. No score and no value is told.",
        "最多说明四组,且仅说明使风险升高、并(在声明了方向时)在其中某一方向上劣于参照的组;"
        "不透露评分与数值。",
    ),
    "method_reference": _both(
        "Reference: the mean of the central tenth, feature by feature, of customers without "
        "default below a default probability of 10 % (out-of-fold). Customers: ",
        "参照:未违约且折外违约概率低于10 %的客户,逐特征取中间十分之一的均值。客户数:",
    ),
    "method_none": _both("This model gives no reasons of its own: ", "本模型不提供自身原因:"),
    "changeable": _both(
        "Customers can change (each proposal is decided again before it is shown):",
        "客户可改变的事项(每项建议在展示前均重新决定):",
    ),
    "reason_head": _both("| reason group | English | Chinese |", "| 原因组 | 英文 | 中文 |"),
    "reference_head": _both("| feature | reference |", "| 特征 | 参照值 |"),
    "not_recorded": _both(
        "Not recorded: the version was made before models explained themselves.",
        "未记录:该版本产生时模型尚不自带解释。",
    ),
    "missing": _both("Not evidenced", "未经证明的事项"),
    "digests": _both("Digests", "摘要值"),
    "traceability": _both(
        "Traceability, item by item as JR/T 0221-2021 lists them", "可追溯性(按JR/T 0221-2021逐项)"
    ),
    "feature_head": _both(
        "| feature | direction | reason group | reads | protected | why |",
        "| 特征 | 方向 | 原因组 | 来源列 | 受保护 | 理由 |",
    ),
    "protected_not": _both("no", "否"),
    "protected_name": _both("named like one", "名称相似"),
    "measure_head": _both(
        "| measure | scope | value | 95 % interval | n | outcome |",
        "| 指标 | 范围 | 数值 | 95 % 区间 | n | 结果 |",
    ),
    "formulas": _both("Formulas, in SQL, as declared:", "公式(SQL,按声明原文):"),
    "no_protected": _both(
        "Columns that the data contract declares protected are kept out of the feature table, so "
        "no feature can read one. A feature that is only named like one is refused unless "
        "`allowances` above says why it is something else.",
        "数据合同声明的受保护属性不进入特征表,任何特征都无法读取。仅名称相似的特征会被拒绝,除非上文"
        "`allowances`写明理由。",
    ),
    "bands": _both("bands {names}; upper edges {edges}", "风险档 {names};各档上界 {edges}"),
    "step": _both(
        "step: max_raise {most:g}, max_cut {least:g}",
        "单次调整:上调比例至多 {most:g},下调比例至多 {least:g}",
    ),
    "cap": _both(
        "cap of {segment}: {minor} minor units of {currency} from {day} ({source})",
        "{segment} 的额度上限:{minor}({currency}最小货币单位),自{day}起({source})",
    ),
    "sigmoid_fitted": _both(
        "A sigmoid was fitted. As recorded: ", "未达校准要求,已加sigmoid校准。记录原文:"
    ),
    "sigmoid_none": _both("No sigmoid was needed. As recorded: ", "无需sigmoid校准。记录原文:"),
    "trace_head": _both("| asked | fact | where | answer |", "| 要求 | 事实 | 出处 | 记录 |"),
    "raises": _both("may only raise the risk", "只能提高风险"),
    "lowers": _both("may only lower the risk", "只能降低风险"),
    "free": _both("free", "不限"),
    "whole": _both("all", "全部"),
    "undefined": _both("undefined", "未定义"),
    "none": _both("none", "无"),
    "rows": _both("rows", "行"),
    "reads_limit": _both(
        "A feature reads the limit under decision: raising a limit changes the measured risk.",
        "有特征读取了待决策额度:提高额度会改变所测风险。",
    ),
    "purpose": _both(
        "Estimates the default probability of existing customers over the horizon below and, with "
        "the policy, proposes credit limits.",
        "估计存量客户在下述期限内的违约概率,并与额度策略一起给出授信额度建议。",
    ),
}

LIMITS_OF_USE: tuple[Both, ...] = (
    _both(
        "Only for customers like those in the data, over the horizon above.",
        "仅适用于与训练数据相似的客户及上述期限。",
    ),
    _both(
        "Not for pricing, collections or first-time applicants.", "不适用于定价、催收或首次申请人。"
    ),
    _both(
        "Only together with the policy below; another policy is another version.",
        "仅可与下述策略一起使用;更换策略即为新版本。",
    ),
    _both(
        "A row with a missing feature is refused and not scored.", "特征缺失的行被拒绝,不予评分。"
    ),
)

NOT_EVIDENCED: tuple[Both, ...] = (
    _both(
        "Performance on sealed customers, fairness and stability: another person validates them.",
        "封存客户上的表现、公平性与稳定性:由他人独立验证。",
    ),
    _both(
        "Customers without a known outcome, among them those who were refused.",
        "结果未知的客户,包括被拒绝的客户。",
    ),
    _both(
        "What a change of limit does to a customer's behavior and risk.",
        "额度变动对客户行为与风险的影响。",
    ),
    _both("Whether the purpose of the processing is lawful.", "处理目的是否合法。"),
    _both("Whether reviewers understood what they signed.", "审阅者是否真正理解所签内容。"),
)

ANNEX: tuple[tuple[Both, str], ...] = (
    (_both("1. General description", "1. 总体描述"), "use"),
    (_both("2. Elements and development", "2. 组成与开发过程"), "development"),
    (_both("3. Functioning, control and limits", "3. 运行、控制与限制"), "control"),
    (_both("4. Performance metrics", "4. 性能指标"), "metrics"),
    (_both("5. Risk management", "5. 风险管理"), "elsewhere"),
    (_both("6. Changes over the life cycle", "6. 生命周期变更"), "elsewhere"),
    (_both("7. Standards applied", "7. 所用标准"), "unstated"),
    (_both("8. Declaration of conformity", "8. 合格声明"), "unstated"),
    (_both("9. Post-market monitoring", "9. 上市后监测"), "elsewhere"),
)
"""The nine points of Annex IV of Regulation (EU) 2024/1689, and where their facts come from."""

ELSEWHERE = _both(
    "Not in this file: the registry's ledger holds findings, waivers, approvals and versions, the "
    "monitoring room its reports. Neither existed when the candidate was fitted.",
    "不在本文件内:发现、豁免、审批与版本见登记账本,监测报告见监测室;模型拟合时二者尚不存在。",
)
UNSTATED = _both(
    "Not stated. A program cannot make this statement.", "未声明。程序不能作出此声明。"
)
