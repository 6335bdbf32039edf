"""What the demo prints, on a terminal and elsewhere."""

import io

from appliance.demo.timeline import Timeline


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_without_a_terminal_there_is_neither_colour_nor_carriage_return() -> None:
    out = io.StringIO()
    timeline = Timeline(out)
    timeline.head("Heading")
    timeline.good("it holds")
    timeline.bad("it does not")
    timeline.progress("phones", 1, 1)
    assert "\x1b" not in out.getvalue() and "\r" not in out.getvalue()
    assert "0.0 s" in out.getvalue() and "1/1" in out.getvalue()


def test_without_a_terminal_progress_is_a_line_now_and_then() -> None:
    out = io.StringIO()
    timeline = Timeline(out)
    for done in range(100):
        timeline.progress("phones", done, 100)
    timeline.progress("phones", 100, 100)
    assert len(out.getvalue().splitlines()) <= 3


def test_on_a_terminal_the_bar_moves_and_gives_way_to_the_next_line() -> None:
    out = Terminal()
    timeline = Timeline(out)
    timeline.progress("phones", 1, 2)
    timeline.progress("phones", 2, 2)
    timeline.good("all there")
    assert "█" in out.getvalue()
    assert out.getvalue().splitlines()[-1].endswith("all there")
    assert "\r\x1b[K" in out.getvalue()
