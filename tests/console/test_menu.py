"""The console: what it shows, and what it does with what is typed."""

from __future__ import annotations

from appliance.console.machine import Machine
from appliance.console.menu import Menu, World
from appliance.console.plan import NetworkPlan
from appliance.console.screen import WIDTH, Facts, screen
from appliance.errors import Unavailable

FACTS = Facts(
    version="1.0",
    hostname="hq",
    mode="standby",
    reason="the cloud answers",
    addresses=("192.0.2.10", "2001:db8::10"),
    carriers={"eth0": True, "eth1": False},
    fingerprint="ab" * 32,
    password="admin xxxxx-yyyyy",
    problems=("seed: runcmd is not understood",),
)


class Typed:
    """A terminal at which these lines are typed; None: nothing comes in time."""

    def __init__(self, *lines: str | None) -> None:
        self.lines = list(lines)
        self.shown = ""
        self.waits: list[float | None] = []

    def write(self, text: str) -> None:
        self.shown += text

    def read(self, seconds: float | None) -> str | None:
        self.waits.append(seconds)
        if not self.lines:
            raise EOFError
        return self.lines.pop(0)


class Noted(Machine):
    """A machine that only notes what it is told."""

    def __init__(self) -> None:
        self.done: list[object] = []

    def plan(self) -> NetworkPlan:
        return NetworkPlan()

    def try_plan(self, plan: NetworkPlan) -> None:
        self.done.append(("try", plan))

    def keep(self, plan: NetworkPlan) -> None:
        self.done.append(("keep", plan))

    def undo(self) -> None:
        self.done.append("undo")

    def reset(self) -> None:
        self.done.append("reset")

    def restart(self) -> None:
        self.done.append("restart")

    def power_off(self) -> None:
        self.done.append("power off")


def session(*lines: str | None) -> tuple[Typed, Noted]:
    terminal, machine = Typed(*lines), Noted()
    Menu(terminal, World(machine, lambda: FACTS, lambda: "new-secret")).run()
    return terminal, machine


STATIC = ("1", "static", "192.0.2.20/24", "192.0.2.1", "", "192.0.2.53", "-", "branch", "")


def test_the_screen_says_how_to_go_on_and_fits_the_terminal() -> None:
    text = "\n".join(screen(FACTS))
    assert "https://192.0.2.10/" in text and "https://[2001:db8::10]/" in text
    assert "one-time password xxxxx-yyyyy" in text and "eth1 DOWN: no cable" in text
    assert "AB:AB" in text and " : " not in text and "runcmd" in text
    assert all(len(line) <= WIDTH + 2 for line in screen(FACTS))


def test_a_change_of_the_network_is_kept_only_when_that_is_said() -> None:
    _, machine = session(*STATIC, "yes", "")
    assert [step[0] for step in machine.done] == ["try", "keep"]  # type: ignore[index]
    plan = machine.done[1][1]  # type: ignore[index]
    assert plan.addresses == ("192.0.2.20/24",) and plan.hostname == "branch" and plan.ntp == ()


def test_a_change_that_nobody_confirms_is_taken_back() -> None:
    terminal, machine = session(*STATIC, None, "")
    assert machine.done[-1] == "undo" and "Taken back" in terminal.shown


def test_a_wrong_address_changes_nothing_and_is_named() -> None:
    terminal, machine = session("1", "static", "192.0.2.20", "", "", "", "", "", "", "")
    assert machine.done == [] and "needs its prefix" in terminal.shown


def test_what_destroys_has_to_be_typed() -> None:
    assert session("4", "yes", "")[1].done == []
    assert session("4", "FACTORY RESET", "")[1].done == ["reset"]
    assert session("6", "", "")[1].done == [] and session("6", "yes", "")[1].done == ["power off"]


def test_a_new_password_is_shown_once_and_a_silent_service_is_said() -> None:
    assert "new-secret" in session("2", "yes", "")[0].shown

    def silent() -> str:
        raise Unavailable("the admin process does not answer")

    terminal = Typed("2", "yes", "")
    Menu(terminal, World(Noted(), lambda: FACTS, silent)).run()
    assert "does not answer" in terminal.shown


def test_while_nobody_types_the_screen_is_drawn_anew() -> None:
    terminal, _ = session(None, None)
    assert terminal.shown.count("Choose:") == 3
