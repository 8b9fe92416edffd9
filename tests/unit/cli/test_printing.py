"""Log lines on their way to stderr, where somebody may have stopped to read."""

from __future__ import annotations

import threading

from firstlight.cli.printing import MOST, Printer, shown


def test_the_platforms_own_lines_are_not_shown() -> None:
    text = "START RequestId: a\none\ttwo\n\x1b[2J\nEND RequestId: a\n"
    assert shown("f", text) == ["f | one\ttwo", "f | \\x1b[2J"]


def test_lines_are_printed_in_order() -> None:
    printed: list[str] = []
    printer = Printer(printed.append)
    for number in range(100):
        printer("f", "r", f"{number}\nand\n")
    printer("f", "r", "END RequestId: r\n")
    printer.close()
    assert printed == [line for number in range(100) for line in (f"f | {number}", "f | and")]


def test_nobody_waits_for_who_does_not_read() -> None:
    going_on = threading.Event()
    printed: list[str] = []

    def note(line: str) -> None:
        going_on.wait()
        printed.append(line)

    printer = Printer(note)
    line = "x" * 1000
    for _ in range(3 * MOST // 1000):
        printer("f", "", line)
    assert not printed
    going_on.set()
    while len(printed) < MOST // 1004:
        pass
    printer("f", "", "last")
    printer.close(60)
    assert printed[-1] == "f | last"
    left_out = int(printed[-2].split()[0])
    assert left_out + len(printed) - 2 == 3 * MOST // 1000


def test_one_that_printed_nothing_is_closed_at_once() -> None:
    Printer(lambda _: None).close()
