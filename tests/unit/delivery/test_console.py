"""What people see of a console: its end, as a terminal would have drawn it, and never a permit."""

import pytest

from releases.delivery.console import LEFT_OUT, LONGEST_LINE, MOST_LINES, shown
from tests.factories.delivery import permit

JWS = permit() + "A" * 80


def lines(text, **more):
    return shown(text, **more)[0]


def test_lines_are_shown_as_they_were_printed():
    assert shown("+ kubectl apply\n\tdone\n\n") == (("+ kubectl apply", "    done"), False)
    assert shown("") == shown("\n \n") == ((), False)


@pytest.mark.parametrize(
    ("printed", "seen"),
    [
        ("\x1b[31mred\x1b[0m \x1b[1;32mgreen\x1b[m", "red green"),
        ("\x1b]0;a title\x07text", "text"),
        ("\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b[8mha:AAAA\x1b[0m[Pipeline] stage", "[Pipeline] stage"),
        ("\x1b[2J\x1b[Hgone", "gone"),
        (" 10%\r 55%\r100%\r", "100%"),
        ("a\x00b\x07c\x08d\x7fe\x9bf", "abcdef"),
        ("safe\u202eexe.\u2066x", "safeexe.x"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),  # the template escapes it
    ],
)
def test_what_steers_a_terminal_or_hides_is_left_out(printed, seen):
    assert lines(printed) == (seen,)


@pytest.mark.parametrize("cut", range(0, len(JWS), 7))
def test_a_permit_is_never_shown_wherever_a_part_was_cut(cut):
    head, tail = lines(f"GMUD_PERMIT={JWS[:cut]}"), lines(f"{JWS[cut:]} deployed")
    said = "".join((*head, *tail))

    assert not (JWS.split(".")[1] in said and JWS.split(".")[2] in said)
    assert JWS not in said.replace("\n", "")


def test_a_whole_permit_reads_as_a_token():
    assert lines(f"+ curl -d {JWS} gate") == ("+ curl -d [token] gate",)
    assert lines(f"\x1b[31m{JWS[:20]}\x1b[0m{JWS[20:]}") == ("[token]",)  # colours do not hide it


def test_only_the_last_lines_are_shown_and_that_is_said():
    text = "\n".join(f"line {n}" for n in range(MOST_LINES + 5))

    kept, is_cut = shown(text)

    assert (len(kept), kept[0], kept[-1], is_cut) == (MOST_LINES, "line 5", f"line {MOST_LINES + 4}", True)


def test_what_the_system_left_out_is_said_too_and_half_a_line_is_not_shown():
    assert shown(f"{LEFT_OUT}\nline 2") == (("line 2",), True)
    assert shown("lf a line\nline 2", from_middle=True) == (("line 2",), True)
    assert shown("all of one line", from_middle=True) == ((), True)


def test_a_line_without_end_is_cut():
    (line,) = lines("x" * 100_000)

    assert line == "x" * LONGEST_LINE + f" {LEFT_OUT}"
