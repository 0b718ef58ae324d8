"""Known answers of mixers, computed from the equations of their papers in double precision, token by token.

usage: make.py [NAME ...]            writes tests/fixtures/mixers/NAME/{weights,expected}.safetensors, of all mixers or of these

One function here per folder; it knows nothing of specs/layers. `weights.safetensors` holds the parameters under the paths that the model
`specs/mixers/NAME.yaml` reads, `expected.safetensors` the input `x` (and others) in f32 and the answers in f64. The folders with a README.md of
their own were made elsewhere and are not written. Seeds are fixed: a second run writes the same numbers.

needs: pip install numpy
"""
import sys

import attentions, convolutions, delta_rules, directions, encoders, experts, linear_attentions, memories, rates, state_spaces

MAKERS = {}
for module in (experts, linear_attentions, delta_rules, memories, attentions, state_spaces, directions, convolutions, encoders, rates):
    MAKERS.update(module.MAKERS)

for name in sys.argv[1:] or MAKERS:
    fixture = MAKERS[name](name)
    fixture.write()
    print(name, *(f"{key} {abs(values).max():.3g}" for key, values in fixture.answers.items()))
