"""Write font_data.h: coverage bitmaps of the DejaVu Sans Bold glyphs that environments draw (licence: third_party/dejavu).

Usage: python csrc/render/make_font.py DejaVuSans-Bold.ttf > csrc/render/font_data.h
"""

import sys

from PIL import Image, ImageDraw, ImageFont

CHARACTERS = " 0123456789+-*/=():,.ACFJKQTacegilmnorstu"
EM = 32

font = ImageFont.truetype(sys.argv[1], EM)
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
