"""Every notice arrives at least once by every route, and no address of a route is ever said."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from decisions import notices, routes
from decisions.notices import Announcement, Channel, Lender, Notice, Topic, key_of
from decisions.outbox import ROUTE_IS_DOWN, Message, Outbox
from decisions.reasons import LOWERING
from decisions.routes import EVERY_CHANNEL, DeliveryFailed, Messenger
from governance.errors import ContractError, KeyringError, UsageError
from governance.settings import Settings

if TYPE_CHECKING:
    from tests.conftest import World

NOW = datetime(2026, 2, 10, 8, tzinfo=UTC)
LATER = NOW + timedelta(days=2)
SECRET = "CANARY-s3cret-T0KEN"
CUT = {
    "limit_before_minor": 10_000_000,
    "limit_after_minor": 7_000_000,
    "temporary_uplift_minor": 0,
    "uplift_expires_on": None,
    "action": "cut",
    "reasons": 1 << 40,
}


@dataclass
class Flaky:
    """A route that fails, or dies after it has delivered."""

    fails: int = 0
    dies: bool = False
    refuses: frozenset[str] = frozenset()
    name: str = "flaky"
    channels: frozenset[str] = EVERY_CHANNEL
    taken: list[str] = field(default_factory=list)

    def deliver(self, key: str, channel: str, text: str) -> None:
        if self.fails or key in self.refuses:
            self.fails = max(self.fails - 1, 0)
            raise DeliveryFailed("later")
        self.taken.append(key)
        if self.dies:
            raise KeyboardInterrupt("killed after the delivery")


def many(count: int, vintage: str = "2026-02") -> list[Message]:
    """`count` customers, one SMS and one App text each."""
    return [
        Message(key_of(number.to_bytes(4, "big"), vintage, said), said.channel.value, said.text)
        for number in range(count)
        for said in told(number)
    ]


def told(number: int) -> list[Notice]:
    return [Notice(topic=Topic.CUT, channel=one, text=f"text {number}") for one in Channel]


def queued(folder: Path, route: routes.Route, count: int = 1) -> tuple[Outbox, list[str]]:
    box, messages = Outbox(folder / "outbox.db"), many(count)
    assert box.queue("2026-02", messages, [route]) == 2 * count
    return box, [one.key for one in messages]


def test_the_same_decision_is_queued_once_under_the_same_key(tmp_path: Path) -> None:
    box, keys = queued(tmp_path, Flaky())
    assert box.queue("2026-02", many(1), [Flaky()]) == 0
    notice = told(0)[0]
    first = (0).to_bytes(4, "big")
    assert key_of(first, "2026-02", notice) == keys[0]
    assert key_of(first, "2026-03", notice) != keys[0]
    assert key_of(b"another", "2026-02", notice) != keys[0]


def test_a_failed_delivery_rests_longer_each_time_and_stops_no_other(tmp_path: Path) -> None:
    route = Flaky(fails=1)
    box, keys = queued(tmp_path, route)
    (first,) = box.deliver([route], now=NOW)
    assert (first.delivered, first.failed, first.waiting, first.reason) == (1, 1, 1, "later")
    route.fails = 1
    assert box.deliver([route], now=NOW + timedelta(seconds=59))[0].failed == 0
    assert box.deliver([route], now=NOW + timedelta(seconds=60))[0].failed == 1
    assert box.deliver([route], now=NOW + timedelta(seconds=179))[0].delivered == 0
    assert box.deliver([route], now=NOW + timedelta(seconds=180))[0].waiting == 0
    assert sorted(route.taken) == sorted(keys)
    assert box.deliver([route], now=LATER)[0].delivered == 0


def test_a_run_delivers_more_than_it_holds_in_memory_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("decisions.outbox.AT_ONCE", 2)
    route = Flaky(fails=1)
    box, keys = queued(tmp_path, route, count=4)
    (first,) = box.deliver([route], now=NOW)
    assert (first.delivered, first.failed, first.waiting) == (len(keys) - 1, 1, 1)
    assert len(set(route.taken)) == len(route.taken)


def test_an_operator_may_end_the_rest(tmp_path: Path) -> None:
    route = Flaky(fails=1)
    box, _ = queued(tmp_path, route)
    box.deliver([route], now=NOW)
    box.wake()
    assert box.deliver([route], now=NOW)[0].delivered == 1


def test_a_crash_after_the_delivery_repeats_it_under_the_same_key(tmp_path: Path) -> None:
    dying, alive = Flaky(dies=True), Flaky()
    box, _ = queued(tmp_path, dying)
    with pytest.raises(KeyboardInterrupt, match="killed after the delivery"):
        box.deliver([dying], now=NOW)
    assert box.deliver([alive], now=LATER)[0].waiting == 0
    assert dying.taken[0] in alive.taken


@dataclass
class Overtaken(Flaky):
    """A route during whose first delivery another process delivers all that waits."""

    box: Outbox | None = None

    def deliver(self, key: str, channel: str, text: str) -> None:
        super().deliver(key, channel, text)
        if self.box is not None:
            box, self.box = self.box, None
            box.deliver([self], now=NOW)


def test_of_two_processes_only_one_delivers_each_text(tmp_path: Path) -> None:
    """Both read the same list of what waits; whoever notes the attempt first makes it."""
    route = Overtaken()
    box, keys = queued(tmp_path, route, count=4)
    route.box = Outbox(box.path)
    (sent,) = box.deliver([route], now=NOW)
    assert Counter(route.taken) == Counter(keys)
    assert (sent.delivered, sent.waiting) == (1, 0)


def test_a_route_that_takes_every_other_text_is_not_down(tmp_path: Path) -> None:
    """Only failures in a row say that nobody listens."""
    keys = [one.key for one in many(15)]
    route = Flaky(refuses=frozenset(keys[::2]))
    box, _ = queued(tmp_path, route, count=15)
    (sent,) = box.deliver([route], now=NOW)
    assert (sent.delivered, sent.failed) == (15, 15)


def test_exactly_so_many_failures_in_a_row_take_a_route_down(tmp_path: Path) -> None:
    keys = [one.key for one in many(10)]
    almost, down = (Flaky(refuses=frozenset(keys[:n])) for n in (ROUTE_IS_DOWN - 1, ROUTE_IS_DOWN))
    for name, route, delivered in (("almost", almost, 21 - ROUTE_IS_DOWN), ("down", down, 0)):
        box, pairs = Outbox(tmp_path / name), many(10)
        box.queue("2026-02", pairs, [route])
        assert box.deliver([route], now=NOW)[0].delivered == delivered


def test_one_route_that_fails_loses_nothing_and_repeats_nothing_on_another(tmp_path: Path) -> None:
    good, bad = Flaky(name="good"), Flaky(name="bad", fails=1_000)
    box, pairs = Outbox(tmp_path / "outbox.db"), many(20)
    box.queue("2026-02", pairs, [good, bad])
    box.deliver([bad, good], now=NOW)
    assert box.waiting() == {"bad": 40, "good": 0}
    bad.fails = 0
    box.deliver([bad, good], now=LATER)
    assert box.waiting() == {"bad": 0, "good": 0}
    for route in (good, bad):
        assert Counter(route.taken) == Counter(one.key for one in pairs)


def test_texts_that_no_route_takes_block_no_other(tmp_path: Path) -> None:
    keys = [one.key for one in many(30)]
    poison = frozenset(keys[: 2 * ROUTE_IS_DOWN])
    route = Flaky(refuses=poison)
    box, _ = queued(tmp_path, route, 30)
    for day in range(4):
        box.deliver([route], now=NOW + timedelta(days=day))
    assert set(route.taken) == set(keys) - poison
    assert box.waiting() == {"flaky": len(poison)}


def test_a_route_that_is_down_is_left_alone_until_the_next_round(tmp_path: Path) -> None:
    route = Flaky(fails=1_000)
    box, keys = queued(tmp_path, route, 30)
    assert box.deliver([route], now=NOW)[0].failed == ROUTE_IS_DOWN
    assert box.waiting() == {"flaky": len(keys)}


def test_a_route_takes_its_channels_and_nothing_of_a_vintage_before_it(tmp_path: Path) -> None:
    first, texts = Flaky(name="first"), Flaky(name="texts", channels=frozenset({"sms"}))
    box = Outbox(tmp_path / "outbox.db")
    box.queue("2026-01", many(3, "2026-01"), [first])
    box.queue("2026-02", many(3), [first, texts])
    box.deliver([first, texts], now=NOW)
    assert len(first.taken) == 12
    assert sorted(texts.taken) == sorted(one.key for one in many(3) if one.channel == "sms")


def test_a_batch_of_notices_is_queued_whole_or_not_at_all(tmp_path: Path) -> None:
    route = Flaky()
    box, _ = queued(tmp_path, route)

    def broken() -> Iterator[Message]:
        yield from many(9)
        raise ContractError("broken half-way")

    with pytest.raises(ContractError, match="broken half-way"):
        box.queue("2026-02", broken(), [route])
    assert box.deliver([route], now=NOW)[0].delivered == 2


def test_the_file_route_appends_one_line_per_text_also_after_half_a_line(tmp_path: Path) -> None:
    path = tmp_path / "out" / "notices.jsonl"
    route = routes.File(path=path)
    box, keys = queued(tmp_path, route)
    path.parent.mkdir()
    path.write_text('{"key": "half a li', encoding="utf-8")
    path.chmod(0o600)
    box.deliver([route], now=NOW)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["key"] for line in lines[1:]] == keys


def test_a_full_disk_leaves_no_half_line(tmp_path: Path) -> None:
    path = tmp_path / "notices.jsonl"
    route = routes.File(path=path)
    route.deliver("key", "sms", "the first")
    whole = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 20, hard))
    try:
        with pytest.raises(DeliveryFailed, match="disk full"):
            route.deliver("key", "sms", "the second")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == whole


def test_the_console_says_every_text(tmp_path: Path) -> None:
    said: list[str] = []
    route = routes.Terminal(say=said.append)
    box, _ = queued(tmp_path, route)
    box.deliver([route], now=NOW)
    assert said == ["[sms] text 0", "[app] text 0"]


KILLING = """
import os, signal, sys, time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from decisions.outbox import Outbox
from decisions.routes import File
from tests.decisions.test_outbox import many

home, count, kills = Path(sys.argv[1]), int(sys.argv[2]), 0
box, route, pairs = Outbox(home / "outbox.db"), File(path=home / "out.jsonl"), many(count)
for attempt in range(400):
    child = os.fork()
    if child == 0:
        box.queue("2026-02", pairs, [route])
        box.deliver([route], now=datetime(2026, 2, 10, tzinfo=UTC) + attempt * timedelta(days=2))
        os._exit(0)
    time.sleep(0.002 * 1.1 ** min(attempt, 60))
    os.kill(child, signal.SIGKILL)
    if os.waitpid(child, 0)[1] == 0:
        break
    kills += 1
print(kills)
"""


def test_kills_anywhere_lose_nothing_and_repeat_at_most_one_text_each(tmp_path: Path) -> None:
    count = 40
    command = [sys.executable, "-c", KILLING, str(tmp_path), str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    kills = int(done.stdout)
    assert kills >= 5
    lines = (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    arrived = Counter(json.loads(line)["key"] for line in lines)
    assert set(arrived) == {one.key for one in many(count)}
    assert sum(arrived.values()) <= 2 * count + kills
    assert Outbox(tmp_path / "outbox.db").waiting() == {"file": 0}


@dataclass
class Gateway:
    """What a real server on the loopback address saw."""

    port: int
    bodies: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    status: int = 200
    location: str = ""


@contextmanager
def gateway() -> Iterator[Gateway]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.paths.append(self.path)
            if seen.status == 200:
                seen.bodies.append(json.loads(body))
            self.send_response(seen.status)
            if seen.location:
                self.send_header("Location", seen.location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    seen = Gateway(port=server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_messenger_delivers_key_and_text_to_a_real_server(tmp_path: Path) -> None:
    with gateway() as seen:
        route = Messenger.of("gateway", f"json://user:{SECRET}@127.0.0.1:{seen.port}/notices")
        box, keys = queued(tmp_path, route, 5)
        box.deliver([route], now=NOW)
        assert [body["title"] for body in seen.bodies] == keys
        assert seen.bodies[0]["message"] == "text 0"
        assert set(seen.paths) == {"/notices"}
        assert SECRET not in repr(route)


def test_what_a_server_does_not_take_waits_and_arrives_once_it_does(tmp_path: Path) -> None:
    with gateway() as seen:
        seen.status = 503
        route = Messenger.of("gateway", f"json://127.0.0.1:{seen.port}")
        box, keys = queued(tmp_path, route)
        assert box.deliver([route], now=NOW)[0].failed == 2
        seen.status = 200
        assert box.deliver([route], now=LATER)[0].waiting == 0
        assert [body["title"] for body in seen.bodies] == keys


def test_a_redirect_to_another_host_is_not_followed(tmp_path: Path) -> None:
    with gateway() as seen, gateway() as other:
        seen.status, seen.location = 307, f"http://127.0.0.1:{other.port}/stolen"
        route = Messenger.of("gateway", f"json://127.0.0.1:{seen.port}")
        box, _ = queued(tmp_path, route)
        assert box.deliver([route], now=NOW)[0].failed == 2
        assert other.paths == []


def test_a_text_arrives_as_it_was_written() -> None:
    with gateway() as seen:
        route = Messenger.of("gateway", f"json://127.0.0.1:{seen.port}")
        text = "【示例银行】 {{ name }} \\n :smile: <b>100,000</b> & 元。"
        route.deliver("key", "sms", text)
        assert seen.bodies[0]["message"] == text


def test_a_text_that_a_messenger_would_cut_is_not_sent() -> None:
    with gateway() as seen:
        route = Messenger.of("gateway", f"json://127.0.0.1:{seen.port}")
        with pytest.raises(DeliveryFailed, match="longer"):
            route.deliver("key", "app", "x" * 40_000)
        assert seen.paths == []


@pytest.mark.parametrize("address", ["nonsense", f"json://\n{SECRET}", f"nosuch://{SECRET}@host"])
def test_a_bad_address_is_refused_and_not_repeated(address: str) -> None:
    with pytest.raises(UsageError, match="gateway is no Apprise address") as refused:
        Messenger.of("gateway", address)
    assert SECRET not in str(refused.value)


def home(folder: Path, text: str, mode: int = 0o600) -> Settings:
    (folder / "routes.toml").write_text(text, encoding="utf-8")
    (folder / "routes.toml").chmod(mode)
    return Settings(home=folder)


def test_the_routes_of_a_home_are_read_with_their_channels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_ADDRESS", f"json://user:{SECRET}@127.0.0.1:9")
    text = 'schema = "routes/1"\n[[routes]]\nname = "gateway"\n'
    text += 'address = "env:GATEWAY_ADDRESS"\nchannels = ["sms"]\n'
    (found,) = routes.configured(home(tmp_path, text), [])
    assert (found.name, found.channels) == ("gateway", {"sms"})
    assert routes.configured(Settings(home=tmp_path / "empty"), []) == []


def test_a_list_of_routes_that_others_can_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyringError, match="chmod 600"):
        routes.configured(home(tmp_path, 'schema = "routes/1"\nroutes = []\n', 0o644), [])


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ([f"json://user:{SECRET}@host"], "is written NAME=ADDRESS"),
        ([f"json://user:{SECRET}@host/?a=b"], "is written NAME=ADDRESS"),
        ([f"Big={SECRET}"], "a name of its own"),
        (["file=json://host"], "console and file are taken"),
        (["gateway=env:NOT_SET"], "reads a variable that is not set"),
        (["one=json://host", "one=json://host"], "a name of its own"),
    ],
)
def test_a_badly_written_route_is_a_usage_error_that_repeats_no_address(
    tmp_path: Path, given: list[str], problem: str
) -> None:
    with pytest.raises(UsageError, match=problem) as refused:
        routes.configured(Settings(home=tmp_path), given)
    assert SECRET not in str(refused.value)


def verb(*arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "limitline", *arguments]
    environment = {**os.environ, **extra}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_no_log_at_any_level_and_no_file_says_the_address(own_world: World) -> None:
    assert verb("decide", "--as-of", "2005-10-01", "--json").returncode == 0
    with gateway() as seen:
        seen.status = 500
        address = f"json://user:{SECRET}@127.0.0.1:{seen.port}/{SECRET}/path?+X-Token={SECRET}"
        given = ["--vintage", "2005-10", "--on", "2005-10-02", "--route", "gateway=env:ADDRESS"]
        loud = {"ADDRESS": address, "LIMITLINE_LOG": "DEBUG"}
        failed = verb("notify", *given, **loud)
        assert failed.returncode == 16, failed.stderr
        assert "Nothing is lost" in failed.stderr
        seen.status = 200
        done = verb("notify", *given, "--retry-now", "--json", **loud)
        assert done.returncode == 0, done.stderr
    announced = json.loads(done.stdout)
    assert announced["waiting"] == 0
    assert announced["delivered"] == len(seen.bodies) > 50
    assert set(seen.paths) == {f"/{SECRET}/path"}
    for process in (failed, done):
        assert SECRET not in process.stdout + process.stderr
        assert "您的额度" not in process.stderr
    files = [path for path in own_world.settings.home.rglob("*") if path.is_file()]
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]


@pytest.mark.parametrize(("language", "signs"), [("zh", 3 * 67), ("en", 3 * 153)])
def test_an_sms_fits_into_three_parts_whatever_its_reasons(language: str, signs: int) -> None:
    lender = Lender(name_en="Example Consumer Finance", name_zh="示例消费金融有限公司")
    announcement = Announcement(lender=lender, language=language, on=date(2026, 12, 28))
    for one in LOWERING:
        for other in LOWERING:
            decided = CUT | {"reasons": int(one | other)}
            written = notices.write(decided, announcement, currency="CNY")
            assert all(len(n.text) <= signs for n in written if n.channel is Channel.SMS)


def test_a_text_is_on_disk_before_it_counts_as_delivered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, flushed, real = tmp_path / "notices.jsonl", list[int](), os.fsync

    def flush(descriptor: int) -> None:
        flushed.append(os.fstat(descriptor).st_size)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", flush)
    routes.File(path=path).deliver("key", "sms", "text")
    assert flushed == [path.stat().st_size]
