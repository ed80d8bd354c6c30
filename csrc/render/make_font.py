"""Write the glyphs that environments draw, from DejaVu (licence: third_party/dejavu).

Usage: python csrc/render/make_font.py small DejaVuSans-Bold.ttf > csrc/render/font_data.h
       python csrc/render/make_font.py large DejaVuSans.ttf DejaVuSans-Bold.ttf > csrc/render/glyph_data.h
       python csrc/render/make_font.py page DejaVuSans.ttf DejaVuSans-Bold.ttf > csrc/render/page_font_data.h

small: coverage bitmaps of one size, scaled for pictures below 200 pixels (needs Pillow).
large: Pillow's own bitmaps at the four sizes of the upstream card games, so that text at 300x300 is equal to upstream's, and
outlines for every other size (needs fontTools).
page: outlines for running text: ASCII, Latin-1 and the signs that shops use in the regular weight, ASCII in bold (needs fontTools).
"""

import sys
from typing import Any

from PIL import Image, ImageDraw, ImageFont

CHARACTERS = " 0123456789+-*/=():,.ACFJKQTacegilmnorstu"
EM = 32
BITMAPS = [  # weight, em in pixels, characters, words
    (1, 36, "0123456789", ["Target: ", "Current: "]),
    (0, 20, " 0123456789+*", ["Formula: "]),
    (0, 16, " 0123456789+-*/()", ["Formula:"]),
    (1, 16, "", ["Dealer", "Player"]),
]
SIGNS = "152 153 160 161 178 17d 17e 3a9 3b1 3b2 3bc 2103 2122"  # code points: letters beyond Latin-1,
SIGNS += " 2013 2014 2018 2019 201a 201c 201d 201e 2020 2022 2026 2032 2033 20ac"  # punctuation,
SIGNS += (
    " 2190 2191 2192 2193 2248 2264 2265 25a0 25cf 2605 2606 2665 2713 2714"  # arrows, relations, bullets, stars, ticks
)
OUTLINES = [" ()*+,-./0123456789:Fabcdefghijklmnopqrstuvwxyz", " ()*+-/0123456789:=ACDJKPQTaeglnrtuy"]  # regular, bold


def small(path: str) -> None:
    """Write font_data.h."""
    font = ImageFont.truetype(path, EM)
    ascent, descent = font.getmetrics()
    height = ascent + descent
    rows, widths, offsets = [], [], [0]
    for character in CHARACTERS:
        width = round(font.getlength(character))
        image = Image.new("L", (width, height), 0)
        ImageDraw.Draw(image).text((0, 0), character, font=font, fill=255)
        rows += list(image.tobytes())
        widths.append(width)
        offsets.append(len(rows))
    print(
        "// Made by make_font.py from DejaVu Sans Bold; do not edit. Coverage, 8 bit, row-major, one glyph after the other."
    )
    print("#pragma once\n\n#include <cstdint>\n\nnamespace vldac::font {\n")
    print(f"constexpr int kHeight = {height};\nconstexpr int kEm = {EM};")
    print(f'constexpr char kCharacters[] = "{CHARACTERS}";')
    print(f"constexpr int kWidths[] = {{{', '.join(map(str, widths))}}};")
    print(f"constexpr int kOffsets[] = {{{', '.join(map(str, offsets[:-1]))}}};")
    print("constexpr uint8_t kCoverage[] = {")
    for start in range(0, len(rows), 40):
        print(",".join(map(str, rows[start : start + 40])) + ",")
    print("};\n\n}  // namespace vldac::font")


def numbers(values: list[int]) -> None:
    """Print values as lines of an initialiser."""
    line = ""
    for value in values:
        if len(line) + len(str(value)) > 118:
            print(line)
            line = ""
        line += f"{value},"
    print(line)


def bitmaps(paths: list[str]) -> None:
    """Print kBitmaps and kBitmapCoverage."""
    coverage: list[int] = []
    print(
        "// weight, em, text, advance in 1/64 pixel, box from the upper left corner of the line, offset of its coverage"
    )
    print("constexpr Bitmap kBitmaps[] = {")
    for weight, em, characters, words in BITMAPS:
        font = ImageFont.truetype(paths[weight], em, layout_engine=ImageFont.Layout.RAQM)
        for text in [*characters, *words]:
            image = Image.new("L", (400, 100), 0)
            ImageDraw.Draw(image).text((50, 30), text, font=font, fill=255)
            left, top, right, bottom = image.getbbox() or (50, 30, 50, 30)
            advance = round(font.getlength(text) * 64)
            box = f"{left - 50}, {top - 30}, {right - left}, {bottom - top}"
            print(f'    {{{weight}, {em}, "{text}", {advance}, {box}, {len(coverage)}}},')
            coverage += list(image.crop((left, top, right, bottom)).tobytes())
    print("};\nconstexpr uint8_t kBitmapCoverage[] = {")
    numbers(coverage)
    print("};\n")


def contours(glyphs: Any, name: str) -> list[int]:
    """Return a glyph's outline: 0 x y begins a contour, 1 x y is a line, 2 x y x y a quadratic curve."""
    from fontTools.pens.basePen import decomposeQuadraticSegment
    from fontTools.pens.recordingPen import DecomposingRecordingPen

    points: list[int] = []
    pen = DecomposingRecordingPen(glyphs)
    glyphs[name].draw(pen)
    for command, arguments in pen.value:
        if command in ("moveTo", "lineTo"):
            points += [command == "lineTo", *arguments[0]]
        elif command == "qCurveTo":
            for control, end in decomposeQuadraticSegment(arguments):
                points += [2, *map(round, control), *map(round, end)]
        else:
            assert command == "closePath", command
    return points


def outlines(paths: list[str]) -> None:
    """Print kOutlines and kOutlinePoints."""
    from fontTools.ttLib import TTFont

    points: list[int] = []
    print("// weight, character, advance, first value and number of values of its outline; units of the em in kUnits")
    print("constexpr Outline kOutlines[] = {")
    for weight, path in enumerate(paths):
        font = TTFont(path)
        glyphs, names = font.getGlyphSet(), font.getBestCmap()
        assert font["head"].unitsPerEm == 2048
        for character in sorted(set(OUTLINES[weight])):
            name, start = names[ord(character)], len(points)
            points += contours(glyphs, name)
            print(f"    {{{weight}, '{character}', {glyphs[name].width}, {start}, {len(points) - start}}},")
    print("};\n// 0 x y: begin a contour; 1 x y: line; 2 x y x y: quadratic curve. y points up, the baseline is at 0.")
    print("constexpr int16_t kOutlinePoints[] = {")
    numbers([int(value) for value in points])
    print("};\n")


def large(paths: list[str]) -> None:
    """Write glyph_data.h."""
    regular = ImageFont.truetype(paths[0], 2048)
    print("// Made by make_font.py from DejaVu Sans (weight 0) and DejaVu Sans Bold (weight 1); do not edit.")
    print("#pragma once\n\n#include <cstdint>\n\nnamespace vldac::font {\n")
    print(
        "struct Bitmap {\n  int weight, em;\n  const char* text;\n  int advance, left, top, width, height, offset;\n};"
    )
    print("struct Outline {\n  int weight;\n  char character;\n  int advance, start, size;\n};")
    print(
        f"constexpr int kUnits = 2048;\nconstexpr int kAscent = {regular.getmetrics()[0]};  // from a line's top to its baseline\n"
    )
    bitmaps(paths)
    outlines(paths)
    print("}  // namespace vldac::font")


def page(paths: list[str]) -> None:
    """Write page_font_data.h. A curve's control points are relative to where it begins, so that the numbers are short."""
    from fontTools.ttLib import TTFont

    latin = [*range(32, 127), *range(160, 256)]
    sets = [sorted({*latin, *(int(code, 16) for code in SIGNS.split())}), list(range(32, 127))]
    print("// Made by make_font.py from DejaVu Sans (weight 0) and DejaVu Sans Bold (weight 1); do not edit.")
    print("#pragma once\n\n#include <cstdint>\n\nnamespace vldac::page_font {\n")
    print("struct Outline {\n  uint16_t weight, codepoint, advance;\n  uint32_t start, size;\n};")
    vertical = TTFont(paths[0])["hhea"]
    print(f"constexpr int kUnits = 2048, kAscent = {vertical.ascent}, kDescent = {-vertical.descent};")
    print("// By weight, then by code point. advance in kUnits; first value and number of values of the outline")
    print("constexpr Outline kOutlines[] = {")
    values: list[int] = []
    for weight, path in enumerate(paths):
        font = TTFont(path)
        glyphs, names = font.getGlyphSet(), font.getBestCmap()
        for codepoint in sets[weight]:
            start, x, y = len(values), 0, 0
            points = iter(contours(glyphs, names[codepoint]))
            for kind in points:
                values.append(int(kind))
                for _ in range(2 if kind == 2 else 1):
                    to_x, to_y = next(points), next(points)
                    values += [to_x - x, to_y - y]
                    x, y = to_x, to_y
            print(f"    {{{weight}, {codepoint}, {glyphs[names[codepoint]].width}, {start}, {len(values) - start}}},")
    print("};\n// 0 x y: begin a contour; 1 x y: line; 2 x y x y: quadratic curve.")
    print("// x and y are relative to the point before; y points up, the baseline is at 0.")
    print("constexpr int16_t kPoints[] = {")
    numbers(values)
    print("};\n\n}  // namespace vldac::page_font")


if __name__ == "__main__":
    if sys.argv[1] == "small":
        small(sys.argv[2])
    else:
        {"large": large, "page": page}[sys.argv[1]](sys.argv[2:])
