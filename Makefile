# Gets `just` if it isn't there, and forwards to it: the recipes are in justfile.
# `plakar pkg build` runs the default target, which builds what manifest.yaml names.

TOOLS := $(if $(PLAKBOX_TOOLS),$(PLAKBOX_TOOLS),$(HOME)/.cache/plakbox/tools)
JUST := PATH="$(TOOLS)/bin:$$PATH" just

.DEFAULT_GOAL := build
.PHONY: build demo test bench bench-photos

build demo test bench bench-photos: | just
	@$(JUST) $@

.PHONY: just
just:
	@PATH="$(TOOLS)/bin:$$PATH" command -v just >/dev/null || cargo install --quiet --locked --root "$(TOOLS)" just
