# Everything runs from .venv, which `make setup` makes; the steps live in scripts/.
export PATH := $(CURDIR)/.venv/bin:$(shell printf '%s' "$$PATH" | tr : '\n' | grep -v '/shims$$' | paste -sd :)
export PYTHONPYCACHEPREFIX := $(CURDIR)/.cache/pycache
unexport PYTHONDONTWRITEBYTECODE PYTHONHOME PYTHONPATH VIRTUAL_ENV

.SILENT:
.PHONY: help setup new demo demo-down test lint unit docs sanity galaxy molecule bench prove clean

help:  ## This list
	sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

setup:  ## Prepare .venv and the collection path
	scripts/setup

new: setup  ## Draft the declaration of an app: make new APP=shop SOURCE=../shop FILE=inventory/group_vars/all.yml
	ANSIBLE_LOCALHOST_WARNING=false ANSIBLE_INVENTORY_UNPARSED_WARNING=false ansible-playbook playbooks/new.yml \
		-e '{"mainstay_app": "$(APP)", "mainstay_source": "$(SOURCE)", "mainstay_app_file": "$(FILE)"}'

demo: setup  ## Start a disposable VPS, provision it and print its URL
	scripts/demo

demo-down:  ## Remove what demo made
	scripts/lab down demo
	scripts/lab engine down
	rm -rf .cache/demo

test:  ## Run every check; one or some of them: make lint unit
	scripts/test

lint unit docs sanity galaxy molecule:
	scripts/test $@

bench: setup  ## Measure how long runs take on a host
	scripts/bench

prove: setup  ## Run the long checks and keep their results in docs/results
	scripts/prove

clean:  ## Remove hosts, images, the lab's engine, .venv and .cache
	scripts/lab clean
	rm -rf .venv .cache .ansible mainstay-vps-*.tar.gz
