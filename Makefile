# Everything a contributor types. Each recipe is one script in tests/scripts, readable on its own.
SHELL := bash
TARGET ?=
TEST ?=
# Before anything that takes minutes: everything that the command needs.
as_built = tests/scripts/prerequisites $@ "$(TARGET)" tests/scripts/as_built
.DEFAULT_GOAL := help

.PHONY: help up down test check unit cli cluster build documents soak plugins cross bench

help: ## Show this list
	@awk -F':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: ## Set everything up and deploy the Todo app; TARGET=docker-desktop|kind|minikube picks the cluster
	@$(as_built) tests/scripts/up "$(TARGET)"

down: ## Remove the app, and the cluster and database that `make up` made
	@tests/scripts/down

test: ## Run every test, the end-to-end ones on a real cluster included
	@$(as_built) tests/scripts/test

check: ## Check format, lints, types, words and generated documents, without running anything
	@$(as_built) tests/scripts/check

unit: ## Run the unit tests; TEST=part-of-a-name picks some of them
	@$(as_built) tests/scripts/unit "$(TEST)"

cli: ## Run the command-line tests on scripted clusters and tools; TEST=part-of-a-name picks some of them
	@$(as_built) tests/scripts/cli "$(TEST)"

cluster: ## Run the tests with TEST=part-of-a-name on a real cluster, which is started if needed
	@$(as_built) tests/scripts/cluster "$(TEST)"

build: ## Build the core plugins and the host for development
	@TODOHOST_PROFILE=$${TODOHOST_PROFILE:-dev} $(as_built) tests/scripts/build

documents: ## Write the documents that are made of other files
	@$(as_built) tests/scripts/documents

plugins: ## Build the core plugins and the host as users get them
	@$(as_built) tests/scripts/build

cross: ## Build the host for Linux arm64 and Windows, type-check it for macOS
	@$(as_built) tests/scripts/cross

soak: ## Kill deploys at 200 random moments on the real cluster, and see that the next one ends well
	@$(as_built) tests/scripts/soak

bench: ## Measure: deploys, renders and components, beside upstream's helm
	@$(as_built) tests/scripts/bench

.PHONY: recording
recording: ## Deploy the Todo app and draw the session as docs/deploy.svg
	@tests/scripts/recording "$(TARGET)"
