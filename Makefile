# What a newcomer types. Each target does its own set-up, and all are safe to repeat.

.PHONY: help demo test check format setup lab-shell

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 20

demo: setup ## jail, boot, prove and stop a microVM, on this machine and in the lab
	@scripts/demo.sh

test: setup ## run every test that this machine can run, and say which it cannot
	@npm test --silent

check: setup ## types, lint, the rooms' borders, unused code
	@npm run --silent check

format: setup ## bring the sources into their form
	@npm run --silent format

setup: ## install what is missing; nothing where nothing is
	@scripts/setup.sh

lab-shell: setup ## a shell in the lab: a throw-away Linux host with nested KVM
	@lab/lab.sh --shell
