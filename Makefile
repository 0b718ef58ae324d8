# Entry points; what they do is in scripts/.
.PHONY: help demo test quick bench bench-compare

help:
	@echo 'make demo    install what is missing, build seqc, compile SmolLM2-135M and Gemma 3 270M and let them answer (SEQC_DEMO_GEMMA=no: the first alone)'
	@echo 'make test    every check: layout, lints, tests, documentation'
	@echo 'make quick   the checks of the inner loop: layout, lints, tests that need no built program, 50 random models'
	@echo 'make bench   emitted programs against llama.cpp, in one run'
	@echo 'make bench-compare   measures the models of one size and writes the table of docs/compare.md anew'

demo:
	@bash scripts/demo.sh

test:
	@bash scripts/test.sh

quick:
	@bash scripts/test.sh quick

bench:
	@bash scripts/bench.sh

bench-compare:
	@bash scripts/bench-compare.sh
