# Everything is created below .venv and .lab; `git status` stays clean.
#   make up STACK=lab            ENGINE=pulumi|embedded forces the engine        ARGS="..." goes to it
STACK ?= lab
# Half of what tests do is waiting, for operations and jobs: twice as many workers as cores keep those busy.
WORKERS ?= 4
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/python -m lab.uv
CLIENTS := $(or $(LAB_CACHE),.lab/cache)/clients
export ENGINE

.PHONY: up jobs test-jobs preview refresh destroy cancel promote pr-comment drift policy test test-clients faults bench check format lock clean
.DEFAULT_GOAL := up

up preview refresh destroy cancel: $(VENV)/.lab
	@$(BIN)/python -m stacks $@ $(STACK) $(ARGS)

promote: $(VENV)/.lab  ## FROM=staging TO=prod: what FROM's smoke job has passed on, by ids, into TO's stack file
	@$(BIN)/python -m stacks promote $(FROM) $(TO) $(ARGS)

pr-comment: $(VENV)/.lab  ## a preview as the comment for its pull request; OUT=FILE writes it there
	@$(BIN)/python -m reviews $(STACK) $(if $(OUT),--output $(OUT)) $(ARGS)

drift: $(VENV)/.lab  ## what somebody changed by hand, as such a comment; changes nothing, fails if there is any
	@$(BIN)/python -m reviews $(STACK) --drift $(if $(OUT),--output $(OUT)) $(ARGS)

policy: $(VENV)/policy/.installed  ## what `make preview ARGS="--policy-pack policy"` needs beside the pulumi CLI

jobs: $(VENV)/.lab  ## python -m jobs of a stack: make jobs ARGS="submit examples/digits/images --watch"; see docs/jobs.md
	@$(BIN)/python -m jobs $(ARGS) --stack $(STACK)

test-jobs: $(VENV)/.dev  ## 200 submits, interrupted at random moments and typed again: 200 jobs; ARGS="--submits 20 --seed 7"
	@$(BIN)/python -m tests.jobs.interrupted $(ARGS)

test: $(VENV)/.dev $(VENV)/policy/.installed  ## everything but the clients of other people; minutes
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --ignore=tests/clients $(ARGS)

test-clients: $(VENV)/.dev $(CLIENTS)/ai-ml/.installed $(CLIENTS)/cli/.installed  ## Microsoft's SDK and CLI, curl; in the lab
	@$(BIN)/python -m pytest tests/clients -rs $(ARGS)

check: $(VENV)/.dev  ## offline, seconds
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check -q .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest tests/architecture

faults: $(VENV)/.dev  ## every kind against every fault, and 20 kills; ARGS="--kills 200 --seed 7"; minutes
	@$(BIN)/python -m tests.faults $(ARGS)

bench: $(VENV)/.dev  ## what it costs beside what one would run instead; minutes, best with nothing else running
	@$(BIN)/python -m bench $(ARGS)

format: $(VENV)/.dev
	@$(BIN)/ruff check -q --fix . ; $(BIN)/ruff format -q .

NOT_INSTALLED = { echo "error: what $< names could not be installed; why is said above. Check the network, and pip's \
settings where you have a mirror or a proxy (index-url, proxy, cert); then run make again, it goes on" >&2; exit 1; }

# .lab: what `make up` needs. .dev: that and what the tests need. Both install exactly what the lock files name, by hash.
$(VENV)/.lab: requirements/lab.txt | $(BIN)/uv
	@echo "installing what requirements/lab.txt names into $(VENV) ..."
	@$(UV) pip install -q --python $(BIN)/python --require-hashes -r requirements/lab.txt || $(NOT_INSTALLED)
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.lab
	@echo "installing what requirements/dev.txt names into $(VENV) ..."
	@$(UV) pip install -q --python $(BIN)/python --require-hashes -r requirements/dev.txt || $(NOT_INSTALLED)
	@touch $@

# Each client has a virtual environment of its own: what they pin agrees neither with each other nor with this project.
$(CLIENTS)/%/.installed: requirements/clients-%.txt | $(BIN)/uv
	@echo "installing what $< names into $(@D) ..."
	@$(UV) venv -q --clear --python $(BIN)/python $(@D)
	@$(UV) pip install -q --python $(@D)/bin/python --require-hashes -r $< || $(NOT_INSTALLED)
	@touch $@

# So has the policy pack: pulumi-policy wants another protobuf than the rest of this project has.
$(VENV)/policy/.installed: requirements/policy.txt | $(BIN)/uv
	@echo "installing what requirements/policy.txt names into $(@D) ..."
	@$(UV) venv -q --clear --python $(BIN)/python $(@D)
	@$(UV) pip install -q --python $(@D)/bin/python --require-hashes -r $<
	@touch $@

$(BIN)/uv: requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed; set PYTHON=python3.x")'
	@echo "making $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/uv.txt || $(NOT_INSTALLED)
	@touch $@

lock: $(BIN)/uv  ## after a change of pyproject.toml
	@$(UV) pip compile -q --universal --generate-hashes --no-header --python-version 3.10 --extra lab --extra plot --extra dev pyproject.toml -o requirements/dev.txt
	@$(UV) pip compile -q --universal --generate-hashes --no-header --python-version 3.10 --extra lab --extra plot -c requirements/dev.txt pyproject.toml -o requirements/lab.txt
	@$(UV) pip compile -q --universal --generate-hashes --no-header --python-version 3.10 -c requirements/dev.txt pyproject.toml -o requirements/run.txt
	@echo uv | $(UV) pip compile -q --universal --generate-hashes --no-header --python-version 3.10 -c requirements/dev.txt - -o requirements/uv.txt
	@echo azure-ai-ml==1.35.2 | $(UV) pip compile -q --universal --generate-hashes --no-header --python-version 3.10 - -o requirements/clients-ai-ml.txt
	@echo azure-cli==2.91.0 | $(UV) pip compile -q --universal --generate-hashes --no-header --python-version 3.10 - -o requirements/clients-cli.txt
	@printf 'pulumi==3.260.0\npulumi-policy==1.21.0\n' | $(UV) pip compile -q --universal --generate-hashes --no-header --python-version 3.10 - -o requirements/policy.txt

clean:  ## ends the lab and removes what was created here; deployed lab stacks go with it
	@if [ -x $(BIN)/python ] && [ -d .lab ]; then $(BIN)/python -m lab stop; fi
	@rm -rf $(VENV) .jobs .lab .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
