"""``python -m conntra_neuro``: the command line."""

import sys

from conntra_neuro.cli.app import main

sys.exit(main())
