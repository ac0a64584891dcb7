# Tưới. Five commands: make run, make test, make check, make fix, make bench. Each does its own set-up.
# The rest are their parts, for whoever works on one of them.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help run test test-pi check fix bench venv venv-dev web system web-tools test-web test-python test-guard check-python check-docs check-web lock
bin := .venv/bin
ARGS ?=
# Some containers set it; without compiled files every process of a demo and of a test reads its sources anew.
unexport PYTHONDONTWRITEBYTECODE

help:
	@echo "make run     the whole farm on this machine: broker, field, boards, gateway, server, phone app"
	@echo "make test    every test, with a real broker, a real InfluxDB and a real browser"
	@echo "make test-pi an emulated Raspberry Pi that waters, is killed, and closes"
	@echo "make check   format, lint, types, imports, docs, web"
	@echo "make fix     put right what a tool can put right"
	@echo "make bench   the numbers of the README, measured on this machine"
	@echo "ARGS passes on: make run ARGS='--port 9000 --data /srv/farm', make test ARGS='-k valve'"

# The shell takes the place of make, so that Ctrl-C reaches the demo once and its farewell is the last thing seen.
run: venv web
	@exec $(bin)/tuoi demo $(ARGS)

test: system test-web test-python

test-pi: venv-dev
	@scripts/system.sh pi
	@scripts/test-pi.sh $(ARGS)

check: check-python check-docs check-web

fix: venv-dev
	$(bin)/ruff check --fix --quiet .
	$(bin)/ruff format .

bench: venv-dev system web
	@$(bin)/python -m tests.bench $(ARGS)

# --- parts ----------------------------------------------------------------------------------------------------------

venv:
	@scripts/venv.sh demo

venv-dev:
	@scripts/venv.sh dev

system:
	@scripts/system.sh

web:
	@scripts/web.sh bundle

web-tools: venv-dev web
	@scripts/web.sh tools

test-web: web-tools
	scripts/node.sh npm test

test-python: venv-dev web
	@scripts/test.sh $(ARGS)

test-guard: venv-dev
	@scripts/test-guard.sh

check-python: venv-dev
	$(bin)/ruff format --check .
	$(bin)/ruff check .
	$(bin)/mypy
	$(bin)/lint-imports --no-cache

check-docs: venv-dev
	$(bin)/python -m pytest -q --no-header tests/test_house.py

check-web: web-tools
	scripts/node.sh npm run check

# After a change of pyproject.toml. Needs uv; writes versions and hashes and no download address.
lock:
	scripts/lock.sh
