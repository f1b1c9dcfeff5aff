# GNU make and BSD make. Needs python3 >= 3.11; no sudo and no running services.
#   make demo ARGS=--fresh     make test ARGS="-k policy"     make test MARKS=slow WORKERS=0
PYTHON = python3
V = .venv
STAMP = $(V)/.locked
COMPILE = $(V)/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
# The settings want servers and secrets: these are the ones that tests use.
WITH_SERVERS = $(V)/bin/python -m tests.embedded_servers
# Two workers for two cores. "worksteal" moves waiting tests to the worker that is free: test times differ a hundredfold.
WORKERS = 2
MARKS = not slow

.PHONY: demo test faults check lock clean

demo: $(STAMP)
	$(V)/bin/python manage.py demo $(ARGS)

test: $(STAMP)
	$(V)/bin/python -m pytest -n $(WORKERS) --dist worksteal -m "$(MARKS)" $(ARGS)

# Breaks a copy of the code, a fault at a time, and expects the tests to notice. make faults ARGS="nonce" tries some.
faults: $(STAMP)
	$(V)/bin/python -m tests.faults "$(ARGS)"

check: $(STAMP)
	$(V)/bin/ruff check .
	$(V)/bin/ruff format --check .
	$(WITH_SERVERS) -m mypy
	PYTHONPATH=sdk $(V)/bin/lint-imports
	$(WITH_SERVERS) manage.py makemigrations --check --dry-run
	$(WITH_SERVERS) manage.py check --fail-level WARNING

lock: $(STAMP)
	$(COMPILE) -o requirements/bootstrap.txt requirements/bootstrap.in
	$(COMPILE) -o requirements/prod.txt requirements/prod.in
	$(COMPILE) -o requirements/dev.txt requirements/dev.in
	$(V)/bin/python -m tests.node.lock

clean:
	rm -rf $(V) var

# The one stamp: everything above runs on exactly what the locks say.
$(STAMP): requirements/dev.txt requirements/bootstrap.txt requirements/bootstrap.py
	$(PYTHON) requirements/bootstrap.py $(V)
	touch $(STAMP)
