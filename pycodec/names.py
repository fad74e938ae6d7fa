"""What components may be called: those that write files are named in five bits of a header."""

import re

LONGEST = 24
NAME = re.compile(rf"[a-z0-9][a-z0-9_.-]{{0,{LONGEST - 1}}}")
RULE = f"at most {LONGEST} of a-z, 0-9, '_', '.', '-'"
