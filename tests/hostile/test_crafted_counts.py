"""Whoever may ask for any counts, as often as he likes, learns nobody's sex or education.

Each attack asks many questions under many mandates, keeps what was answered, and solves for the
persons he is after. With the guard taken away the same attack gives away every one of them.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from governance.contract import Purpose
from governance.errors import ContractError
from privacy import audit, disclosure, keyring
from privacy.audit_vault import AuditVault
from privacy.feature_table import PSEUDONYM
from privacy.keyring import Keyring
from privacy.pseudonym import PSEUDONYM_TYPE
from privacy.raw_table import packaged_contract
from tests.privacy.conftest import World, raw_table

CUSTOMERS = 600
WOMEN = "female"

Rows = NDArray[np.intp]


@dataclass
class Attacker:
    """Somebody who may call `count` and remembers every answer."""

    world: World
    pseudonyms: NDArray[np.object_]
    truth: NDArray[np.bool_]
    sets: list[NDArray[np.float64]] = field(default_factory=list)
    told: list[float] = field(default_factory=list)

    def ask(self, rows: Rows, by: object = None, *, more: list[bytes] | None = None) -> None:
        """Ask how many women there are in each slice, under a mandate of its own."""
        slices = np.zeros(len(rows), dtype=np.int64) if by is None else np.asarray(by)
        strangers = more or []
        table = pa.table(
            {
                PSEUDONYM: pa.array([*self.pseudonyms[rows], *strangers], PSEUDONYM_TYPE),
                "slice": pa.array([*slices.tolist(), *[0] * len(strangers)]),
            }
        )
        counts = self.count(table, by=["slice"])["sex"]
        for label in np.unique(slices):
            women = counts.where(group=WOMEN, slice=int(label)).total()
            if women is not None:
                own = np.zeros(len(self.pseudonyms))
                own[rows[slices == label]] = 1.0
                self.sets.append(own)
                self.told.append(women)

    def count(self, table: pa.Table, **changes: object) -> dict[str, audit.Counts]:
        request: dict[str, object] = {
            "keyring": self.world.ring,
            "vault": self.world.vault,
            "purpose": Purpose.DECISION,
            "attributes": ["sex", "education"],
            "mandate": f"mandate {len(self.told)}",
        }
        return audit.count(table, **{**request, **changes})  # type: ignore[arg-type]

    def known(self, targets: Rows) -> int:
        """Return for how many targets the answers leave no doubt at all."""
        told = np.array(self.sets).reshape(-1, len(self.pseudonyms))
        leverage = np.einsum("ij,ji->i", np.linalg.pinv(told), told)
        return int((leverage[targets] > 0.999).sum())

    def guessed(self, targets: Rows) -> float:
        """Return the share of targets that the best linear estimate gets right."""
        told = np.array(self.sets).reshape(-1, len(self.pseudonyms))
        share = self.truth.mean()
        estimate = share + np.linalg.pinv(told) @ (np.array(self.told) - told.sum(axis=1) * share)
        return float(((estimate > 0.5)[targets] == self.truth[targets]).mean())


def all_but_one(who: Attacker, targets: Rows) -> None:
    """Everybody, and everybody without one."""
    everybody = np.arange(CUSTOMERS)
    who.ask(everybody)
    for target in targets:
        who.ask(np.delete(everybody, target))


def one_more_each_time(who: Attacker, targets: Rows) -> None:
    """A set that grows by one person from question to question."""
    others = np.setdiff1d(np.arange(CUSTOMERS), targets)[:100]
    for end in range(len(targets) + 1):
        who.ask(np.concatenate([others, targets[:end]]))


def trackers(who: Attacker, targets: Rows) -> None:
    """Two large sets that share one person alone, and all: no two differ by few."""
    rng, everybody = np.random.default_rng(1), np.arange(CUSTOMERS)
    who.ask(everybody)
    for target in targets:
        half = rng.random(CUSTOMERS) < 0.5
        half[target] = True
        who.ask(everybody[half])
        half[target] = False
        who.ask(everybody[~half])


def windows_that_overlap(who: Attacker, targets: Rows) -> None:
    """Ever the next thirty persons, and the next thirty-one, moved on by one."""
    others = np.setdiff1d(np.arange(CUSTOMERS), targets)[:30]
    line = np.concatenate([others, targets])
    for start in range(len(targets)):
        who.ask(line[start : start + 30])
        who.ask(line[start : start + 31])


def random_halves(who: Attacker, targets: Rows) -> None:
    """Many random halves of the targets among always the same others, solved by least squares."""
    rng = np.random.default_rng(2)
    others = np.setdiff1d(np.arange(CUSTOMERS), targets)[:80]
    for _ in range(3 * len(targets)):
        half = targets[rng.random(len(targets)) < 0.5]
        who.ask(np.concatenate([others, half]))
    who.ask(others)


def columns_that_split(who: Attacker, targets: Rows) -> None:
    """Everybody each time; a column says who is asked about, as 0 and 1 of a power of two."""
    rng, everybody = np.random.default_rng(3), np.arange(CUSTOMERS)
    other = np.setdiff1d(everybody, targets)
    for place in range(2 * len(targets)):
        mark = np.zeros(CUSTOMERS, dtype=np.int64)
        mark[targets] = rng.integers(0, 2, len(targets))
        mark[other[: CUSTOMERS // 3]] = 1
        mark[targets[place % len(targets)]] ^= 1
        who.ask(everybody, mark)
    mark = np.zeros(CUSTOMERS, dtype=np.int64)
    mark[other[: CUSTOMERS // 3]] = 1
    who.ask(other, mark[other])


def strangers_as_padding(who: Attacker, targets: Rows) -> None:
    """Everybody without one, filled up with persons whom the vault does not know."""
    everybody = np.arange(CUSTOMERS)
    who.ask(everybody)
    for target in targets:
        strangers = [bytes([int(target) % 256, n] * 8) for n in range(40)]
        who.ask(np.delete(everybody, target), more=strangers)


ATTACKS: tuple[Callable[[Attacker, Rows], None], ...] = (
    all_but_one,
    one_more_each_time,
    trackers,
    windows_that_overlap,
    random_halves,
    columns_that_split,
    strangers_as_padding,
)


@pytest.fixture(scope="module")
def protected(tmp_path_factory: pytest.TempPathFactory) -> World:
    home = tmp_path_factory.mktemp("crafted")
    ring = keyring.create(home / "keyring")
    world = World(home=home, ring=ring, contract=packaged_contract("uci_credit"))
    for purpose in (Purpose.DECISION, Purpose.TRAINING):
        world.protect(raw_table(CUSTOMERS), purpose)
    return world


@pytest.fixture
def attacker(protected: World, tmp_path: Path) -> Attacker:
    home = tmp_path / "home"
    shutil.copytree(protected.home, home)
    world = World(home=home, ring=Keyring.open(home / "keyring"), contract=protected.contract)
    return Attacker(world, *secrets_of(world))


def secrets_of(world: World) -> tuple[NDArray[np.object_], NDArray[np.bool_]]:
    """Return the pseudonyms for decisions and who is a woman, which no attacker sees."""
    pseudonyms = world.all(world.protect(raw_table(CUSTOMERS), Purpose.DECISION))[PSEUDONYM]
    asked = audit._audit_pseudonyms(
        pa.table({PSEUDONYM: pseudonyms}), world.ring, purpose=Purpose.DECISION
    )
    with AuditVault.opened(world.vault, keyring=world.ring) as vault:
        groups = vault.group_of(asked, ["sex"]).groups["sex"].to_pylist()
    own = np.empty(CUSTOMERS, dtype=object)
    own[:] = pseudonyms.to_pylist()
    return own, np.array([group == WOMEN for group in groups])


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_no_series_of_questions_gives_a_person_away(
    attacker: Attacker, attack: Callable[[Attacker, Rows], None]
) -> None:
    targets = np.arange(100, 140)
    attack(attacker, targets)
    assert attacker.told, "nothing at all was answered, which no guard should need"
    assert attacker.known(targets) == 0
    # He who always says what most persons are is as good: within what chance does for 40 persons.
    most = max(attacker.truth[targets].mean(), 1 - attacker.truth[targets].mean())
    assert attacker.guessed(targets) <= most + 0.16


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_without_the_guard_the_same_questions_give_everybody_away(
    attacker: Attacker,
    attack: Callable[[Attacker, Rows], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unguarded(_: object, asked: disclosure.Slices) -> tuple[list[int], list[int]]:
        return sorted(set(asked.labels.tolist())), []

    monkeypatch.setattr(disclosure, "answerable", unguarded)
    targets = np.arange(100, 140)
    attack(attacker, targets)
    assert attacker.known(targets) == len(targets)
    assert attacker.guessed(targets) == 1.0


def test_a_person_counted_twice_is_not_counted_at_all(attacker: Attacker) -> None:
    ten_times = pa.table({PSEUDONYM: pa.array([attacker.pseudonyms[7]] * 30, PSEUDONYM_TYPE)})
    with pytest.raises(ContractError, match="29 rows repeat a customer"):
        attacker.count(ten_times, by=[])
    nobody = pa.table({PSEUDONYM: pa.array([*attacker.pseudonyms[:40], None], PSEUDONYM_TYPE)})
    with pytest.raises(ContractError, match="1 rows repeat a customer or name none"):
        attacker.count(nobody, by=[])


def test_nothing_is_added_up_whatever_its_name(attacker: Attacker) -> None:
    """With weights of 2^i one sum told the sex of everybody; there are no sums any more."""
    weights = pa.array([2 ** (n % 60) for n in range(CUSTOMERS)])
    table = pa.table({PSEUDONYM: pa.array(attacker.pseudonyms, PSEUDONYM_TYPE), "limit": weights})
    with pytest.raises(TypeError, match="additive"):
        attacker.count(table, by=[], additive=["limit"])
    counts = attacker.count(table, by=[])["sex"]
    assert (counts.additive, counts.table.column_names) == (("n",), ["group", "n"])


def test_a_column_that_tells_persons_apart_is_refused_or_withheld(attacker: Attacker) -> None:
    own = pa.array(attacker.pseudonyms, PSEUDONYM_TYPE)
    table = pa.table({PSEUDONYM: own, "row": list(range(CUSTOMERS))})
    with pytest.raises(ContractError, match="tell 600 slices apart; at most 64"):
        attacker.count(table, by=["row"])
    with pytest.raises(ContractError, match="counted by text, whole numbers or yes and no"):
        attacker.count(table.append_column("half", pa.array(np.arange(CUSTOMERS) / 2)), by=["half"])
    one = pa.table({PSEUDONYM: own, "row": [int(n == 9) for n in range(CUSTOMERS)]})
    counts = attacker.count(one, by=["row"])["sex"]
    assert counts.table["n"].to_pylist() == [None] * 4


def test_which_group_is_the_largest_is_not_told_of_those_who_are_not_counted(
    attacker: Attacker,
) -> None:
    """One stranger beside 19 customers was counted with the commoner sex, which was then said."""
    some = [*attacker.pseudonyms[:19], b"a stranger to us"]
    alone = attacker.count(pa.table({PSEUDONYM: pa.array(some, PSEUDONYM_TYPE)}), by=[])["sex"]
    assert (alone.told, alone.where(group=WOMEN).total()) == ("", None)
    own = [*attacker.pseudonyms[100:140], *some]
    beside = pa.table({PSEUDONYM: pa.array(own, PSEUDONYM_TYPE), "slice": [0] * 40 + [1] * 20})
    counts = attacker.count(beside, by=["slice"])["sex"]
    assert counts.told == ""
    assert counts.where(slice=1, group=WOMEN).total() is None


def test_other_purposes_and_other_mandates_are_no_second_purse(attacker: Attacker) -> None:
    everybody = np.arange(CUSTOMERS)
    attacker.ask(everybody)
    training = attacker.world.protect(raw_table(CUSTOMERS), Purpose.TRAINING)
    rows = attacker.world.all(training).select([PSEUDONYM])
    same = attacker.count(rows, by=[], purpose=Purpose.TRAINING)["sex"]
    assert same.where(group=WOMEN).total() == attacker.told[0]
    less = attacker.count(rows.slice(1), by=[], purpose=Purpose.TRAINING, mandate="another")
    assert less["sex"].total() is None


def test_questions_at_the_same_time_spend_one_purse(attacker: Attacker) -> None:
    def all_but(target: int) -> bool:
        rows = pa.array(np.delete(attacker.pseudonyms, target), PSEUDONYM_TYPE)
        counts = attacker.count(pa.table({PSEUDONYM: rows}), by=[], mandate=f"race {target}")
        return counts["sex"].total() is not None

    with ThreadPoolExecutor(6) as at_once:
        assert sum(at_once.map(all_but, range(12))) == 1


def test_the_same_question_is_free_for_ever(attacker: Attacker) -> None:
    some = np.arange(30)
    for _ in range(50):
        attacker.ask(some)
    assert len(attacker.told) == 50
    assert len(set(attacker.told)) == 1


def test_who_spends_everything_guesses_hardly_better_than_by_the_commoner_group() -> None:
    """Random slices until nothing more is answered; then the best linear guess of everybody."""
    rng, people = np.random.default_rng(8), np.arange(1_000, dtype=np.uint64)
    truth, earlier, sets, told = rng.random(len(people)) < 0.6, list[disclosure.Slices](), [], []
    for _ in range(40):
        asked = disclosure.Slices(people=people, labels=rng.integers(0, 6, 1_000).astype(np.int8))
        may, new = disclosure.answerable(earlier, asked)
        earlier += [asked.only(new)] if new else []
        sets += [np.asarray(asked.labels == label, dtype=np.float64) for label in may]
        told += [float(truth[asked.labels == label].sum()) for label in may]
    matrix, share = np.array(sets), float(truth.mean())
    inverse = np.linalg.pinv(matrix)
    assert np.einsum("ij,ji->i", inverse, matrix).max() < disclosure.LIMIT
    estimate = share + inverse @ (np.array(told) - matrix.sum(axis=1) * share)
    assert float(np.corrcoef(estimate, truth)[0, 1]) < np.sqrt(disclosure.LIMIT) + 0.06
    assert float(((estimate > 0.5) == truth).mean()) < share + 0.08


def test_two_years_of_monthly_counts_of_a_book_are_answered() -> None:
    """In a book of 6,000 whose actions change for a tenth each month, nothing is withheld."""
    rng, people = np.random.default_rng(5), np.arange(6_000, dtype=np.uint64)
    shares = [0.2, 0.45, 0.2, 0.15]
    actions, earlier = rng.choice(4, len(people), p=shares), list[disclosure.Slices]()
    for _ in range(24):
        changed = rng.random(len(people)) < 0.1
        actions[changed] = rng.choice(4, int(changed.sum()), p=shares)
        asked = disclosure.Slices(people=people, labels=actions.astype(np.int8))
        may, new = disclosure.answerable(earlier, asked)
        assert sorted(may) == [0, 1, 2, 3]
        earlier.append(asked.only(new))


def test_many_small_counts_do_not_end_the_large_ones() -> None:
    """Whoever was in small slices again and again is still counted among many."""
    rng, people = np.random.default_rng(6), np.arange(6_000, dtype=np.uint64)
    earlier, small = list[disclosure.Slices](), 0
    for _ in range(40):
        labels = np.full(len(people), disclosure.NOT_COUNTED, dtype=np.int8)
        labels[[0, *rng.choice(np.arange(1, 6_000), 29, replace=False)]] = 0
        asked = disclosure.Slices(people=people, labels=labels)
        _, new = disclosure.answerable(earlier, asked)
        earlier += [asked.only(new)] if new else []
        small += len(new)
    assert 2 <= small <= 5
    half = disclosure.Slices(people=people, labels=(people % 2).astype(np.int8))
    assert disclosure.answerable(earlier, half)[0] == [0, 1]


def test_a_question_that_is_all_but_a_sum_of_earlier_ones_is_not_free() -> None:
    """Groups doubled in a chain hide one person behind a difference of a millionth."""
    size, groups, chain = 120, [*range(3)], [(0, 1), (0, 2)]
    for _ in range(11):
        first, second = groups[-2:]
        groups += [groups[-1] + n for n in (1, 2, 3)]
        middle, *pair = groups[-3:]
        chain += [(first, second, middle), (middle, pair[0]), (middle, pair[1])]
    target, people = len(groups) * size, np.arange(len(groups) * size + 1, dtype=np.uint64)

    def asked(some: tuple[int, ...], *, more: bool = False) -> disclosure.Slices:
        is_in = np.isin(people // size, some) & (people < target)
        is_in[target] = more
        return disclosure.Slices(people=people, labels=np.where(is_in, 0, -1).astype(np.int8))

    questions = [*map(asked, chain), asked((groups[-2],), more=True), asked((0,))]
    earlier, told = list[disclosure.Slices](), []
    for question in questions:
        may, new = disclosure.answerable(earlier, question)
        earlier += [question.only(new)] if new else []
        told += [(question.labels == 0).astype(float)] if may else []
    assert len(told) >= len(chain)
    matrix = np.array(told)
    assert np.einsum("ij,ji->i", np.linalg.pinv(matrix), matrix)[target] < disclosure.LIMIT


def test_sums_and_differences_of_earlier_answers_are_free() -> None:
    rng, people = np.random.default_rng(9), np.arange(2_000, dtype=np.uint64)
    fine = disclosure.Slices(people=people, labels=rng.integers(0, 12, 2_000).astype(np.int8))
    earlier = [fine]
    for labels in (fine.labels // 2, fine.labels % 2, fine.labels * 0):
        asked = disclosure.Slices(people=people, labels=labels.astype(np.int8))
        may, new = disclosure.answerable(earlier, asked)
        assert (sorted(may), new) == (sorted({*labels.tolist()}), [])
    half = disclosure.Slices(people=people, labels=(fine.labels // 6).astype(np.int8))
    whole = disclosure.Slices(people=people, labels=np.zeros(2_000, dtype=np.int8))
    assert sorted(disclosure.answerable([whole], half)[0]) == [0, 1]
    assert len(disclosure.answerable([whole], half)[1]) == 1


def test_the_edges_of_the_guard_are_where_they_are_said_to_be() -> None:
    people = np.arange(100, dtype=np.uint64)

    def asked(size: int, start: int = 0) -> disclosure.Slices:
        labels = np.full(len(people), disclosure.NOT_COUNTED, dtype=np.int8)
        labels[start : start + size] = 0
        return disclosure.Slices(people=people, labels=labels)

    assert disclosure.answerable([], asked(19)) == ([], [])
    assert disclosure.answerable([], asked(20)) == ([0], [0])
    assert disclosure.answerable([asked(40)], asked(40)) == ([0], [])
    # Counted among 40 before: 59 more or less leave 19 of them, a part of 25 leaves 15.
    for other in (asked(59), asked(25)):
        assert disclosure.answerable([asked(40)], other) == ([], [])
    for other in (asked(60), asked(24), asked(20, start=40)):
        assert disclosure.answerable([asked(40)], other) == ([0], [0])


def test_what_the_slices_of_one_question_tell_of_a_person_is_added_up() -> None:
    """Everybody was counted before; then in three slices, of which the two small ones say much."""
    people = np.arange(99, dtype=np.uint64)
    whole = disclosure.Slices(people=people, labels=np.zeros(99, dtype=np.int8))
    labels = np.repeat(np.arange(3), (73, 13, 13)).astype(np.int8)
    parts = disclosure.Slices(people=people, labels=labels)
    assert disclosure.answerable([whole], parts) == ([0], [0])
    sets = np.array([np.ones(99), *(labels == label for label in range(3))], dtype=np.float64)
    assert np.einsum("ij,ji->i", np.linalg.pinv(sets), sets).max() > 0.7 * disclosure.LIMIT
