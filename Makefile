# Two commands do everything on a fresh machine: make demo, make test. Both make their own virtualenv.

PYTHON ?= python3
PIP = -m pip install --quiet --disable-pip-version-check
# A developer's shell may point at another project. Without bytecode each process would compile all of it again, and
# pytest rewrite every assertion.
CLEAN = env -u DJANGO_SETTINGS_MODULE -u VIRTUAL_ENV -u PYTHONPATH -u PYTHONDONTWRITEBYTECODE

# The drivers for the database that DATABASE_URL names.
DRIVER =
ifneq ($(filter postgres%,$(DATABASE_URL)),)
DRIVER = requirements/postgres.txt
endif
ifneq ($(filter mysql%,$(DATABASE_URL)),)
DRIVER = requirements/mysql.txt
endif

.PHONY: help environments demo screenshots test-browser test test-lowest tox test-races chaos test-live test-sdks test-requests lint types migrations translations messages package smoke extras docs diagrams bench bench-resilience bench-smoke clean python

help:
	@echo "make demo          see it work, on SQLite (DEMO_ARGS=--exit: the story only; --page: the page only)"
	@echo "make test          run the tests, on SQLite or the database of DATABASE_URL (PYTEST_ARGS=…)"
	@echo "make test-lowest   run the tests with the lowest versions of all libraries, on SQLite"
	@echo "make tox CELLS=…   run the tests in cells of tox.ini, such as py313-django61"
	@echo "make test-races    run the slow ones: crashes, storms, long races"
	@echo "make test-browser  show the admin's pages and the demo's in a headless Chromium; make screenshots keeps the docs' pictures"
	@echo "make chaos         break things at random, then check the logs (CHAOS_ARGS=…)"
	@echo "make test-live     run the tests against servers that others wrote (Python, Node.js; Ruby where it is)"
	@echo "make test-sdks     run the SDKs of docs/howto/sdks.rst with the client and its tokens"
	@echo "make test-requests run requests' own tests with the client in the place of its Session"
	@echo "make lint types migrations translations package smoke extras docs    what CI checks besides"
	@echo "make messages      bring the message files up to date with the code, and compile them (needs GNU gettext)"
	@echo "make diagrams      draw the pictures of docs/explanation (needs Graphviz)"
	@echo "make bench         measure speed and scale side by side with others (BENCH_ARGS=--quick)"
	@echo "make bench-resilience   measure what the race tests show"
	@echo "make clean         remove what these have made"

python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed, this is %s; give another one by PYTHON=…" % sys.version.split()[0])'

.venv-demo/ready: requirements/base.txt requirements/demo.txt | python
	$(PYTHON) -m venv .venv-demo
	.venv-demo/bin/python $(PIP) -r requirements/demo.txt
	touch $@

demo: .venv-demo/ready
	@$(CLEAN) -u DATABASE_URL .venv-demo/bin/python -m project.demo $(DEMO_ARGS)

.venv/ready: requirements/base.txt requirements/demo.txt requirements/test.txt | python
	$(PYTHON) -m venv .venv
	.venv/bin/python $(PIP) -r requirements/test.txt
	touch $@

.venv/ready-%: requirements/%.txt .venv/ready
	.venv/bin/python $(PIP) -r $<
	touch $@

TEST_READY = .venv/ready $(patsubst requirements/%.txt,.venv/ready-%,$(DRIVER))

# On all cores, neighbours on the same one as long as there is work for all; each worker has a database of its own.
test: $(TEST_READY)
	$(CLEAN) .venv/bin/python -m pytest -n auto --dist worksteal $(PYTEST_ARGS)

.venv-lowest/ready: requirements/base.txt requirements/demo.txt requirements/test.txt requirements/lowest.txt | python
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python $(PIP) -r requirements/test.txt -c requirements/lowest.txt
	touch $@

test-lowest: .venv-lowest/ready
	$(CLEAN) -u DATABASE_URL .venv-lowest/bin/python -m pytest -n auto --dist loadgroup $(PYTEST_ARGS)

# Cells of tox.ini, in the Pythons of pyenv and of PATH. One whose Python isn't there is skipped, and tox says so.
tox: export TOX_DISCOVER = $(subst $(eval ) ,:,$(wildcard $(HOME)/.pyenv/versions/3.*/bin/python))
tox: .venv-dev/ready
	$(CLEAN) -u DATABASE_URL .venv-dev/bin/python -m tox run -e $(CELLS) $(TOX_ARGS) -- $(PYTEST_ARGS)

# One after the other: a race of many processes wants the cores for itself.
test-races: $(TEST_READY) .venv/ready-servers
	$(CLEAN) .venv/bin/python -m pytest -m slow $(PYTEST_ARGS)

# The admin's pages and the demo's in a headless Chromium (Debian: apt-get install chromium); its pictures are committed.
test-browser: $(TEST_READY)
	$(CLEAN) .venv/bin/python -m pytest -m browser tests/admin tests/demo $(PYTEST_ARGS)

screenshots: export SCREENSHOTS = docs/screenshots
screenshots: test-browser

# Faults that the seed decides, then a check of the logs; the database is one of its own on the server of DATABASE_URL.
chaos: $(TEST_READY)
	@$(CLEAN) .venv/bin/python -m tests.chaos $(CHAOS_ARGS)

.venv-live/ready: requirements/live.txt | python
	$(PYTHON) -m venv .venv-live
	.venv-live/bin/python $(PIP) -r $<
	touch $@

NODE_SERVERS = tests/live/servers/node
NODE_NEEDED = Node.js 20.19 or later with npm is needed for make test-live (Debian: apt-get install nodejs npm)

$(NODE_SERVERS)/node_modules/ready: $(NODE_SERVERS)/package-lock.json
	@node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' && npm --version >/dev/null || { echo "$(NODE_NEEDED)" >&2; exit 1; }
	npm ci --prefix $(NODE_SERVERS) --ignore-scripts --omit=optional --no-audit --no-fund --loglevel=error
	touch $@

test-live: $(TEST_READY) .venv-live/ready $(NODE_SERVERS)/node_modules/ready
	$(CLEAN) .venv/bin/python -m pytest -m live tests/live $(PYTEST_ARGS)

# caldav's niquests brings urllib3-future, which is told to stay beside urllib3.
.venv-sdks/ready: requirements/base.txt requirements/demo.txt requirements/test.txt requirements/sdks.txt | python
	$(PYTHON) -m venv .venv-sdks
	URLLIB3_NO_OVERRIDE=1 .venv-sdks/bin/python $(PIP) -r requirements/sdks.txt
	touch $@

test-sdks: .venv-sdks/ready
	$(CLEAN) -u DATABASE_URL .venv-sdks/bin/python -m pytest -m sdks tests/sdks $(PYTEST_ARGS)

.venv-requests/ready: requirements/base.txt requirements/requests.txt | python
	$(PYTHON) -m venv .venv-requests
	.venv-requests/bin/python $(PIP) -r requirements/requests.txt
	touch $@

# Downloads requests' source from PyPI; tests/requests_suite/differences.txt has the tests that must fail.
test-requests: .venv-requests/ready
	$(CLEAN) .venv-requests/bin/python -m tests.requests_suite $(PYTEST_ARGS)

.venv-dev/ready: requirements/base.txt requirements/demo.txt requirements/test.txt requirements/dev.txt requirements/docs.txt | python
	$(PYTHON) -m venv .venv-dev
	.venv-dev/bin/python $(PIP) -r requirements/dev.txt -r requirements/docs.txt
	touch $@

# While CI waits for something else; what each needs is made by the targets themselves as well.
environments: .venv-live/ready $(NODE_SERVERS)/node_modules/ready .venv-sdks/ready .venv-dev/ready .venv-bench/ready .venv-demo/ready

lint: .venv-dev/ready
	.venv-dev/bin/python -m ruff check .
	.venv-dev/bin/python -m ruff format --check .

# pyright looks at tests/typed_project alone, as at a project that uses the package.
types: .venv-dev/ready
	$(CLEAN) .venv-dev/bin/python -m mypy --strict
	$(CLEAN) .venv-dev/bin/python -m pyright --pythonpath .venv-dev/bin/python

migrations: .venv-dev/ready
	$(CLEAN) -u DATABASE_URL .venv-dev/bin/python -m django makemigrations --check --dry-run --settings tests.settings

# Both need GNU gettext (Debian: apt-get install gettext). Its files are committed, compiled as well.
translations: .venv-dev/ready
	$(CLEAN) .venv-dev/bin/python -m release.translations

messages: .venv-dev/ready
	$(CLEAN) .venv-dev/bin/python -m release.translations --update

# Twice, to see that it gives the same bytes; with the tools of .venv-dev, which build would install anew each time.
package: .venv-dev/ready
	$(CLEAN) .venv-dev/bin/python -m release
	.venv-dev/bin/python -m twine check --strict dist/*

# The wheel in an empty virtualenv, with the dependencies that PyPI has today; then the tutorials, word by word.
smoke: package
	$(CLEAN) .venv-dev/bin/python -m release.smoke
	$(CLEAN) .venv-dev/bin/python -m release.tutorials

# The wheel without any extra, and with each alone; mysqlclient needs a C compiler and the client's headers.
extras: package
	$(CLEAN) .venv-dev/bin/python -m release.extras

# What the pictures and pages say of the tree must still be so; links lead somewhere, and searches find their page.
docs: .venv-dev/ready
	$(CLEAN) .venv-dev/bin/python -m docs.checks
	@$(CLEAN) .venv-dev/bin/python -m docs.diagrams.floors | diff docs/diagrams/floors.dot - || { echo "The imports have changed: make diagrams" >&2; exit 1; }
	$(CLEAN) -u DATABASE_URL .venv-dev/bin/python -m sphinx -W -q -b html docs docs/_build/html
	$(CLEAN) .venv-dev/bin/python -m docs.links
	$(CLEAN) .venv-dev/bin/python -m docs.questions

# Needs Graphviz (Debian: apt-get install graphviz). Its pictures are committed, so the docs are built without it.
diagrams: .venv-dev/ready
	$(CLEAN) .venv-dev/bin/python -m docs.diagrams.floors > docs/diagrams/floors.dot
	for name in floors route states; do dot -Tsvg docs/diagrams/$$name.dot -o docs/diagrams/$$name.svg || exit; done
	for name in race protocol; do \
		$(CLEAN) .venv-dev/bin/python -m docs.diagrams.sequence docs/diagrams/$$name.seq | neato -n2 -Tsvg -o docs/diagrams/$$name.svg || exit; \
	done

.venv-bench/ready: requirements/base.txt requirements/demo.txt requirements/test.txt requirements/bench.txt requirements/postgres.txt requirements/mysql.txt | python
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python $(PIP) -r requirements/bench.txt
	touch $@

# The servers that answer are measured too; BENCHMARK_POSTGRESQL and BENCHMARK_MARIADB name others than CI's.
bench: .venv-bench/ready
	$(CLEAN) -u DATABASE_URL .venv-bench/bin/python -m benchmarks $(BENCH_ARGS)

bench-resilience: .venv-bench/ready
	$(CLEAN) -u DATABASE_URL .venv-bench/bin/python -m benchmarks.resilience

bench-smoke: .venv-bench/ready
	$(CLEAN) -u DATABASE_URL .venv-bench/bin/python -m benchmarks --quick

clean:
	rm -rf .venv .venv-lowest .venv-demo .venv-dev .venv-live .venv-sdks .venv-requests .venv-bench $(NODE_SERVERS)/node_modules .demo .tox build dist docs/_build *.egg-info .coverage*
