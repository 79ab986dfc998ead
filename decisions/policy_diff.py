"""Policy diff: what differs between two policies, in words, in two languages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel

from decisions.policy import LimitPolicy
from decisions.reasons import Text
from decisions.sections import BASIS_POINTS

WORDS: Mapping[str, Text] = {
    "version": Text("version", "版本"),
    "id": Text("policy id", "政策编号"),
    "title": Text("title", "名称"),
    "currency": Text("currency", "币种"),
    "effective_from": Text("first day", "生效日"),
    "effective_to": Text("last day", "失效日"),
    "rounding_minor": Text("rounding unit", "取整单位"),
    "minimum_limit_minor": Text("lowest limit", "最低额度"),
    "bands": Text("risk bands", "风险等级"),
    "names": Text("names", "等级名称"),
    "upper": Text("upper edges", "上边界"),
    "hysteresis": Text("hysteresis", "迟滞幅度"),
    "utilization": Text("utilization", "额度使用率"),
    "matrix": Text("matrix", "额度矩阵"),
    "step": Text("step", "单次调整"),
    "max_raise": Text("largest raise", "最大提额幅度"),
    "max_cut": Text("largest cut", "最大降额幅度"),
    "minimum_change": Text("smallest change", "最小调整幅度"),
    "cool_down": Text("cool-down", "冷静期"),
    "raise_months": Text("months before a raise", "提额间隔月数"),
    "cut_months": Text("months before a cut", "降额间隔月数"),
    "early_warning": Text("early warning", "早期预警"),
    "months_delinquent": Text("months behind", "逾期月数"),
    "cut_to": Text("cut to", "降至"),
    "probability_jump": Text("jump of the risk", "风险突升"),
    "ratio": Text("ratio", "倍数"),
    "minimum": Text("from a probability of", "最低概率"),
    "stress": Text("payment stress", "还款压力"),
    "payment_ratio": Text("payment ratio", "还款比例"),
    "affordability": Text("affordability", "负担能力"),
    "applies_to": Text("applies to", "适用范围"),
    "max_debt_service": Text("highest debt service to income", "最高偿债收入比"),
    "minimum_payment_rate": Text("monthly payment rate", "月最低还款率"),
    "income_haircut": Text("share of income relied on", "收入折算比例"),
    "over_indebtedness": Text("over-indebtedness guard", "过度负债防护"),
    "max_debt_to_income": Text("highest debt to yearly income", "最高负债收入比"),
    "macro": Text("macro regimes", "宏观情景"),
    "downturn": Text("downturn", "下行期"),
    "boom": Text("boom", "上行期"),
    "logit_shift": Text("shift of the log odds", "对数几率平移"),
    "raise_scale": Text("factor on raises", "提额系数"),
    "cut_scale": Text("factor on cuts", "降额系数"),
    "raise_bands": Text("bands that may be raised", "可提额等级"),
    "seasons": Text("season", "节庆"),
    "starts_on": Text("first day", "开始日"),
    "ends_on": Text("last day of granting", "结束日"),
    "expires_on": Text("expiry", "到期日"),
    "uplift": Text("temporary uplift", "临时提额比例"),
    "demand": Text("demand index", "需求指数"),
    "starts_at": Text("begins at", "起始值"),
    "full_at": Text("full at", "满额值"),
    "business": Text("business rules", "企业规则"),
    "legal_persons": Text("segments of legal persons", "法人客群"),
    "sole_traders": Text("segments of sole traders", "个体工商户客群"),
    "altman_distress": Text("Z'' of distress", "Z''困境线"),
    "altman_safe": Text("Z'' of safety", "Z''安全线"),
    "distress_cut_to": Text("cut to on distress", "困境降至"),
    "minimum_debt_service_coverage": Text("lowest debt service coverage", "最低偿债覆盖率"),
    "revenue_multiple": Text("multiple of monthly revenue", "月营收倍数"),
    "raise_conditions": Text("conditions of a raise", "提额前提"),
    "consent": Text("consent", "客户授权"),
    "assessment_months": Text("age of the assessment in months", "评估有效月数"),
    "automation": Text("automated decision", "自动化决策"),
    "refusal": Text("on refusal", "拒绝时"),
    "experiment": Text("experiment", "试点"),
    "multipliers": Text("multipliers", "试点倍数"),
    "envelope": Text("envelope of the optimizer", "优化器许可范围"),
    "least": Text("least multiplier", "最低倍数"),
    "most": Text("largest multiplier", "最高倍数"),
    "floor_of_reference": Text("floor as a share of the limit once granted", "初始额度保底比例"),
    "supervision": Text("supervision", "监控要求"),
    "max_silence_days": Text("longest silence of monitoring in days", "监控最长静默天数"),
    "caps": Text("cap", "额度上限"),
    "cap_minor": Text("cap", "上限"),
    "ceilings": Text("aggregate ceiling", "总额上限"),
    "ceiling_minor": Text("ceiling", "上限"),
    "name": Text("name", "名称"),
    "segment": Text("segment", "客群"),
    "product": Text("product", "产品"),
    "kind": Text("kind", "性质"),
    "source": Text("source", "依据"),
}

_SHARES = frozenset(
    {
        "hysteresis",
        "max_raise",
        "max_cut",
        "minimum_change",
        "cut_to",
        "max_debt_service",
        "minimum_payment_rate",
        "income_haircut",
        "max_debt_to_income",
        "raise_scale",
        "cut_scale",
        "uplift",
        "distress_cut_to",
        "revenue_multiple",
        "multipliers",
        "matrix",
        "least",
        "most",
        "floor_of_reference",
    }
)
_ABSENT = Text("absent", "无")
_NOBODY = "[]"
SAME = Text("The two policies say the same.", "两份政策内容相同。")


class Change(NamedTuple):
    """One difference: where, and from what to what."""

    path: tuple[str, ...]
    old: str | None
    new: str | None

    def in_words(self, language: str = "en") -> str:
        """Say the change in one line."""
        chinese = language == "zh"
        words = [_word(part, chinese=chinese) for part in self.path]
        absent = _ABSENT.zh if chinese else _ABSENT.en
        old, new = self.old or absent, self.new or absent
        if chinese:
            return f"{' / '.join(words)}:{old} → {new}"
        return f"{', '.join(words)}: {old} -> {new}"


def diff(old: LimitPolicy, new: LimitPolicy) -> list[Change]:
    """Return every value that differs, in the order of the file."""
    before, after = dict(_leaves(old)), dict(_leaves(new))
    paths = [*before, *(path for path in after if path not in before)]
    return [
        Change(path, before.get(path), after.get(path))
        for path in paths
        if before.get(path) != after.get(path)
    ]


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    parts = list(_parts(value))
    for name, part in parts:
        yield from _leaves(part, (*path, name))
    # No rows of a list are no rule; no names in a list of names are one: nobody is meant.
    if not parts and value is not None and not (value == () and len(path) == 1):
        yield path, _shown(path, value) or _NOBODY


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """Open a section, a mapping or a list of rows into its named parts; a plain value has none."""
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        yield from ((name, getattr(value, name)) for name in fields if name != "schema_")
    elif isinstance(value, Mapping):
        yield from value.items()
    elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
        yield from ((_called(item), item) for item in value)


def _called(item: BaseModel) -> str:
    """Name a row of a list by what tells it apart, so that a moved row is not a changed one."""
    facts = dict(item)
    parts = [facts.get("name"), facts.get("segment"), facts.get("product")]
    if "effective_from" in facts:
        parts.append(str(facts["effective_from"]))
    return " ".join(str(part) for part in parts if part)


def _shown(path: tuple[str, ...], value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(_shown(path, item) for item in value)
    is_share = path[-1] in _SHARES or path[0] == "matrix"
    if is_share and isinstance(value, int):
        return f"{value / BASIS_POINTS:.4f}".rstrip("0").rstrip(".")
    if path[-1].endswith("_minor"):
        return f"{value / 100:,.2f}"
    return str(value)


def _word(part: str, *, chinese: bool) -> str:
    word = WORDS.get(part)
    if word is None:
        return part
    return word.zh if chinese else word.en
