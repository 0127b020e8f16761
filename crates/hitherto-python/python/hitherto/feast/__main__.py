"""``python -m hitherto.feast``."""

import sys

from ._import import main

sys.exit(main())
