"""Renders a captured terminal as an SVG picture: picture.py FIRST_LINE LAST_LINE < capture > picture.svg

The capture holds what `script` recorded, colours and all; the picture shows its lines from the first that contains
FIRST_LINE to the first after it that contains LAST_LINE:

    script --quiet --return --command 'make demo' /tmp/demo.txt
    python3 scripts/demo/picture.py '==> kubectl apply' 'are the same' < /tmp/demo.txt > docs/demo.svg
"""

import re
import sys
from html import escape

COLUMNS = 112
CHARACTER_WIDTH, LINE_HEIGHT, MARGIN = 7.83, 18, 16
STYLES = {"1": "b", "2": "d", "31": "r", "32": "g"}


def styled(line: str) -> str:
    """The line as SVG text, its escape sequences turned into classes, cut at the width of the picture."""
    left, classes, parts = COLUMNS, set(), []
    for piece in re.split(r"(\x1b\[[0-9;]*m)", line):
        code = re.fullmatch(r"\x1b\[([0-9;]*)m", piece)
        if code:
            for number in code.group(1).split(";"):
                if number in ("", "0"):
                    classes.clear()
                elif number in STYLES:
                    classes.add(STYLES[number])
        elif piece and left > 0:
            shown = piece if len(piece) <= left else piece[: left - 1] + "…"
            left -= len(shown)
            text = escape(shown)
            parts.append(f'<tspan class="{" ".join(sorted(classes))}">{text}</tspan>' if classes else text)
    return "".join(parts)


def chosen(lines: list[str], first: str, last: str) -> list[str]:
    begin = next(i for i, line in enumerate(lines) if first in line)
    end = next(i for i, line in enumerate(lines) if i > begin and last in line)
    return lines[begin : end + 1]


def main() -> None:
    first, last = sys.argv[1:]
    capture = sys.stdin.buffer.read().decode("utf-8", "replace").replace("\r\n", "\n")
    lines = chosen(capture.split("\n"), first, last)
    width, height = int(COLUMNS * CHARACTER_WIDTH) + 2 * MARGIN, len(lines) * LINE_HEIGHT + 2 * MARGIN
    print(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">\n'
        "<style>text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#d8dee9;"
        "white-space:pre}.b{font-weight:bold;fill:#fff}.d{fill:#7b869c}.r{fill:#f07178}.g{fill:#8bd17c}</style>\n"
        f'<rect width="{width}" height="{height}" rx="8" fill="#1b2130"/>'
    )
    for number, line in enumerate(lines):
        y = MARGIN + LINE_HEIGHT * number + 13
        print(f'<text x="{MARGIN}" y="{y}" xml:space="preserve">{styled(line)}</text>')
    print("</svg>")


if __name__ == "__main__":
    main()
