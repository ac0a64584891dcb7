# Tưới. Five commands: make run, make test, make check, make fix, make bench. Each does its own set-up.
# The rest are their parts, for whoever works on one of them.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help run test check fix bench venv venv-dev web system test-web check-web lock
bin := .venv/bin

help:
	@echo "make run     the whole farm on this machine: broker, field, boards, gateway, server, phone app"
	@echo "make test    every test, with a real broker, a real InfluxDB and a real browser"
	@echo "make check   format, lint, types, imports, docs, web"
	@echo "make fix     put format and lint right where a tool can"
	@echo "make bench   the numbers of the README, measured here"

venv:
	@scripts/venv.sh demo

venv-dev:
	@scripts/venv.sh dev
