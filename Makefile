# Everything a contributor types. Each recipe is one script in tests/scripts, readable on its own.
SHELL := bash
TARGET ?=
# Before anything that takes minutes: everything that the command needs.
as_built = tests/scripts/prerequisites $@ "$(TARGET)" tests/scripts/as_built
.DEFAULT_GOAL := help

.PHONY: help up down test soak plugins cross bench

help: ## Show this list
	@awk -F':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: ## Set everything up and deploy the Todo app; TARGET=docker-desktop|kind|minikube picks the cluster
	@$(as_built) tests/scripts/up "$(TARGET)"

down: ## Take away what `make up` made
	@tests/scripts/down

test: ## Run every test, the end-to-end ones on a real cluster included
	@$(as_built) tests/scripts/test

soak: ## Kill deploys at 200 random moments on the real cluster, and see that the next one ends well
	@$(as_built) tests/scripts/soak

plugins: ## Build the core plugins and the host
	@$(as_built) tests/scripts/build

cross: ## Build the host for Linux arm64 and Windows, type-check it for macOS
	@$(as_built) tests/scripts/cross

bench: ## Measure: deploys, renders and components, beside upstream's helm
	@$(as_built) tests/scripts/bench
