"""`vldac envs generate-webshop`: write a shop, show how far it is, say what was written."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from vldac.envs.webshop.catalogue_maker import make_products
from vldac.envs.webshop.files import FILES, Report, write_catalogue
from vldac.envs.webshop.short_shop import make_short_shop

from vldac.errors import ConfigError

if TYPE_CHECKING:
    from vldac.arguments import GenerateWebshopArguments

_LINE_EVERY_S = 5.0  # where there is no terminal
_LOOK_EVERY = 256  # products between looks at the clock


def run(arguments: GenerateWebshopArguments, stream: TextIO | None = None) -> Report:
    """Write the shop that the arguments ask for; report on `stream` (stdout). Raises ConfigError, EnvError."""
    stream = sys.stdout if stream is None else stream
    if arguments.num < 1:
        raise ConfigError(expected="at least 1", got=str(arguments.num), where="--num", do="correct it")
    is_short = arguments.goals == "short"
    make = make_short_shop if is_short else make_products
    start = time.perf_counter()
    report = write_catalogue(
        arguments.out, make(arguments.num, seed=arguments.seed), overwrite=arguments.overwrite,
        on_product=_progress(arguments.num, stream),
    )  # fmt: skip
    seconds = time.perf_counter() - start
    if stream.isatty():
        stream.write("\r\x1b[K")
    print(f"{report.num_products} products, {report.num_human_goals} human goals in {report.folder}", file=stream)
    print(f"  {', '.join(FILES)}: {report.num_bytes / 1e6:,.1f} MB", file=stream)
    print(f"{report.num_products / seconds:,.0f} products/s; use them with data={report.folder}", file=stream)
    return report


def _progress(total: int, stream: TextIO) -> Callable[[int], None]:
    """Return what tells how many are written: a line that is rewritten on a terminal, a line now and then elsewhere."""
    is_terminal = stream.isatty()
    every = 0.1 if is_terminal else _LINE_EVERY_S
    last = time.perf_counter()

    def on_product(done: int) -> None:
        nonlocal last
        if done % _LOOK_EVERY or time.perf_counter() - last < every:
            return
        last = time.perf_counter()
        text = f"{done}/{total} products"
        stream.write(f"\r\x1b[K{text}" if is_terminal else f"{text}\n")
        stream.flush()

    return on_product
