"""How much is taken, of a batch and of a span. Each number keeps sums over many spans inside their columns."""

import datetime as dt

MOST_SPANS = 1_000
# A collector batches more than an SDK does; the rows are written by MOST_SPANS at a time.
MOST_OTLP_SPANS = 10_000
MOST_BYTES = 4 * 1024 * 1024
OLDEST = dt.timedelta(days=7)
FURTHEST_AHEAD = dt.timedelta(minutes=5)
MOST_TOKENS = 100_000_000
MOST_COST_USD = 10_000
MOST_RETRIES = 10_000
MOST_ATTRIBUTES = 128
LONGEST_ATTRIBUTE = 200
