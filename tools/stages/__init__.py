"""One stage a file. Their order is observatory/pipeline.py's."""
