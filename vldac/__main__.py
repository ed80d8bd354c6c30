"""`python -P -m vldac` is the `vldac` command."""

import sys

from vldac.cli import main

sys.exit(main())
