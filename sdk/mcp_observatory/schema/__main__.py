"""python -m mcp_observatory.schema | psql "$DATABASE_URL"        (--path answers where the file is)"""

import sys

from mcp_observatory.schema import PATH

if __name__ == "__main__":
    sys.stdout.write(f"{PATH}\n" if sys.argv[1:] == ["--path"] else PATH.read_text(encoding="utf-8"))
