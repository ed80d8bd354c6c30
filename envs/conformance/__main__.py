"""`python -m vldac.envs.conformance ENV_ID`."""

import sys

from vldac.envs.conformance import main

sys.exit(main())
