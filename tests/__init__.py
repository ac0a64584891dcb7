"""The tests: unit/ mirrors the tree, contract/ golden files, suites/ one per port, integration/, browser/, bench/."""
