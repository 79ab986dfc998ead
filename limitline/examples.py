"""Examples of each verb, as ``--help`` shows them; a test reads every line as the command would."""

from __future__ import annotations

from collections.abc import Mapping

EXAMPLES: Mapping[str, str] = {
    "keys init": "limitline keys init --name risk_approver='Li Wei'",
    "verify": """
        limitline verify
        limitline verify evidence.zip --people people.json
        limitline verify --table var/features/uci-credit-training-0123456789abcdef""",
    "protect": """
        limitline protect --purpose training
        limitline protect --contract customers.toml --input customers.csv --encoding gb18030""",
    "scan": """
        limitline scan reports/
        limitline scan exports/ --canaries planted.txt --json""",
    "simulate": "limitline simulate --customers 2000",
    "train": """
        limitline train
        limitline train --contract customers --target defaulted --recipe challenger""",
    "reproduce": "limitline reproduce champion",
    "document": "limitline document --version latest --output model-card/",
    "challenge": "limitline challenge --version latest",
    "alternatives": "limitline alternatives --version latest --on 2005-10-01",
    "validate": "limitline validate --version latest --on 2005-10-01",
    "watch": """
        limitline watch --on 2005-11-01
        limitline watch --acknowledge
        limitline watch --plan plan.toml --print-schedule""",
    "drift": """
        limitline drift --reference january.parquet --current june.csv
        limitline drift --reference a.csv --current b.csv --tolerance 0.1 --leave-out note""",
    "misjudgment": """
        limitline misjudgment --decisions d.csv --action action --outcome bad --amount change""",
    "fairness": """
        limitline fairness --decisions d.csv --action action --outcome defaulted --group region""",
    "report": """
        limitline report
        limitline report --window 2005-09 --json""",
    "dashboard": "limitline dashboard --port 8000",
    "serve": "limitline serve --port 5000",
    "freeze": "limitline freeze --as risk_approver --reason 'The income feed is late'",
    "unfreeze": "limitline unfreeze --as business_approver --reason 'The feed is whole again'",
    "status": """
        limitline status
        limitline status --on 2005-11-01 --json""",
    "reconcile": """
        limitline reconcile
        limitline reconcile --repair""",
    "evidence": "limitline evidence --output evidence.zip --on 2005-11-01",
    "finding list": "limitline finding list --on 2005-11-01",
    "finding close": """
        limitline finding close 0123456789ab --as risk_approver --reason 'The feed was mended'""",
    "people list": "limitline people list",
    "people add": """
        limitline people add --as validator --name 'Wang Fang' --reason 'Joined in May'
        --public-key 11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=""",
    "people rotate": """
        limitline people rotate --as validator --name 'Wang Fang' --reason 'Yearly rotation'""",
    "people revoke": "limitline people revoke 0123456789abcdef --reason 'Left the bank'",
    "appetite": "limitline appetite --as risk_approver --file appetite.toml --on 2005-10-01",
    "gate": "limitline gate --version latest --on 2005-10-01 --all",
    "waive": """
        limitline waive --version 3 --measure fairness.raise_ratio --scope attribute=age_band
        --as risk_approver --owner 'Head of credit risk' --expires 2005-12-31
        --reason 'Known finding; the plan is due in December'""",
    "approve": "limitline approve --version 3 --as risk_approver --on 2005-10-01",
    "promote": "limitline promote --version 3 --on 2005-10-01",
    "decide": """
        limitline decide --as-of 2005-10-01
        limitline decide --policy policy.toml --input book.csv --output decisions.parquet""",
    "explain": """
        limitline explain --vintage 2005-10 --action cut --language zh
        limitline explain --policy policy.toml --input book.csv --row 3""",
    "replay": """
        limitline replay --vintage 2005-10 --sample 10000
        limitline replay --vintage 2005-10 --kit replay-home/""",
    "notify": "limitline notify --vintage 2005-10 --language zh --to notices.jsonl",
    "ownership": "limitline ownership --vintage 2005-10 --suggestions partner.csv",
    "policy check": """
        limitline policy check policy.toml
        limitline policy check --version latest""",
    "policy diff": "limitline policy diff old.toml new.toml",
    "policy impact": """
        limitline policy impact --policy new.toml --against old.toml --input book.csv
        limitline policy impact --version latest --as-of 2005-10-01""",
    "review queue": "limitline review queue --vintage 2005-10",
    "review list": "limitline review list --state open",
    "review decide": """
        limitline review decide 7 --decision keep --reviewer 'Zhao Min' --reason 'Paid since'""",
    "review outcome": "limitline review outcome 7 --turned good",
    "review report": "limitline review report --within-days 30",
    "lab world": "limitline lab world --accounts 5000 --months 24 --seed 7",
    "lab snapshot": "limitline lab snapshot --of consumer --as-of 2024-06-30 --out raw.parquet",
    "lab backtest": "limitline lab backtest --accounts 5000 --seeds 101",
    "lab optimize": """
        limitline lab optimize --policy policy.toml --economics economics.toml --input book.csv
        --history changes.csv --output recommended.parquet""",
    "lab reject-inference": "limitline lab reject-inference --refused refused --spec features.toml",
}


def lines_of(verb: str) -> list[str]:
    """Return the examples of a verb, each in one line."""
    joined = " ".join(EXAMPLES[verb].split())
    return [f"limitline {rest.strip()}" for rest in joined.split("limitline ")[1:]]
