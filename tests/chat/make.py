"""Records what transformers makes of chat templates that are given tools, documents and variables.

    python make.py                       writes tests/fixtures/chat/given.json, of the templates below
    python make.py CASES.json FOLDER     the same of all `*.jinja` below a folder; SEQC_CHAT_CASES=CASES.json
                                         lets the runtime's test compare these, too

Needs `transformers` and `jinja2`. Each template is rendered as `apply_chat_template` does with
`add_generation_prompt`; `text` is null where it raises.
"""

import json
import pathlib
import sys

import transformers
from transformers.utils.chat_template_utils import _compile_jinja_template

MESSAGES = {
    "U": [{"role": "user", "content": 'How is the weather in Paris? <tag> "q"'}],
    "S": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "bye"},
    ],
}

CITY = {"type": "string", "description": "Its name, é"}
DAYS = {"type": "integer", "default": 1, "enum": [1, 2.5, None, True]}
PARAMETERS = {"type": "object", "properties": {"city": CITY, "days": DAYS}, "required": ["city"]}
FUNCTION = {"name": "weather", "description": 'The "weather" of a city', "parameters": PARAMETERS}

GIVEN = {
    "none": {},
    "tools": {"tools": [{"type": "function", "function": FUNCTION}]},
    "documents": {"documents": [{"title": "Seine", "text": "A river in France."}]},
    "variables": {"variables": {"enable_thinking": False, "date_string": "26 Jul 2024", "bos_token": "<begin>"}},
}

TEMPLATES = [
    "{% for tool in tools or [] %}{{ tool | tojson }}\n{% endfor %}{{ messages[-1].content }}",
    "{% if tools %}{{ tools | tojson(indent=4) }}{% endif %}{% if not tools %}none{% endif %}",
    "{{ tools | tojson(indent=2, separators=(',', ' : '), sort_keys=true) if tools is not none else tools }}",
    "{% if tools is defined and tools %}{% for t in tools %}{% set f = t.function %}{{ f.name }}({{ f.parameters.properties.keys() | list | join(', ') }})"
    "{% for name, p in f.parameters.properties.items() %}\n  {{ name }}: {{ p.type }}{{ ' = ' ~ p.default if p.default is defined }}{% endfor %}{% endfor %}{% endif %}",
    "{{ tools }} {{ documents }}",
    "{{ tools[0].function.parameters.properties.days.enum if tools }}{{ (tools or []) | length }}",
    "{% for d in documents or [] %}[{{ loop.index }}] {{ d['title'] }}: {{ d.text | trim }}{% if not loop.last %}\n{% endif %}{% endfor %}{{ documents is none }}",
    "{{ bos_token }}{{ date_string | default('today') }}{% if enable_thinking is defined and enable_thinking is false %}<think></think>{% endif %}",
    "{% if enable_thinking | default(true) %}thinks{% else %}does not{% endif %}{{ add_generation_prompt }}",
    "{% macro shape(p) %}{% for k, v in p | dictsort %}{{ k }}={% if v is mapping %}{{ '{' ~ shape(v) ~ '}' }}{% else %}{{ v }}{% endif %};{% endfor %}{% endmacro %}"
    "{% if tools %}{{ shape(tools[0].function) }}{% endif %}",
    "{% if tools %}{{ tools | map(attribute='function.name') | list }}{% else %}{{ raise_exception('no tools') }}{% endif %}",
    "{{ messages[0].content | wordcount }} {{ 'a-b c_d é9' | wordcount }}|{{ 'ab' | center(7) }}|{{ 'abc' | center(width=6) }}|{{ 'no' | center | length }}",
    "{{ messages[0].content | truncate(20) }}|{{ messages[0].content | truncate(14, true, '…', 0) }}|{{ 'short text' | truncate(7) }}|{{ 'a b c' | truncate(length=4, leeway=0) }}",
    "{{ messages[0].content | urlencode }}|{{ 'a/b c é' | urlencode }}|{{ {'a b': 1, 'c': 'd&e'} | urlencode }}|{{ [['x', 'y z']] | urlencode }}",
    "{{ '<b>bold</b>  and <i>not</i> &amp; so' | striptags }}|{{ '<a>' | forceescape }}|{{ 1 | filesizeformat }} {{ 13000 | filesizeformat }} {{ 2048 | filesizeformat(true) }}",
    "{{ 'a.b.c'.rsplit('.', 1) }}{{ 'a.b.c'.split('.', 1) }}{{ ' a b  c '.split() }}{{ ' a b  c '.rsplit(None, 1) }}{{ ' a b  c '.split(None, 1) }}{{ 'a,b'.split(sep=',') }}",
    "{{ 'k: v: w'.partition(': ') }}{{ 'k: v: w'.rpartition(': ') }}{{ 'k'.partition(':') }}{{ 'k'.rpartition(':') }}{{ 'k=v'.partition('=')[2] }}",
    "{{ 'abc'.removeprefix('a').removesuffix('c') }}{{ 'x'.center(5, '-') }}{{ 'xy'.center(5) }}|{{ 'x'.ljust(3, '.') }}{{ 'x'.rjust(3) }}{{ '-7'.zfill(4) }}{{ 'Ab'.swapcase() }}{{ 'AB'.casefold() }}",
    "{{ 'é1é2'.find('2') }}{{ 'é1é2'.rfind('é') }}{{ 'abc'.find('x') }}{{ 'abc'.index('c') }}{{ ['a', 'b'].index('b') }}{{ 'é'.isalpha() }}{{ ''.isdigit() }}{{ 'a1'.islower() }}{{ '1'.isupper() }}{{ ' '.isspace() }}",
    "{{ {'a': 1, 'b': 'c'}.items() | list }}{{ {'b': [2], 'a': none} | dictsort }}{{ {'a': 1} | items | list }}{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}{{ v }}{% endfor %}{{ {'a': 1}.items() | list | tojson }}",
    "{% set next = joiner(', ') %}{% for m in messages %}{{ next() }}{{ m.role }}{% endfor %}{% set row = cycler('a', 'b') %}{{ row.next() }}{{ row.next() }}{{ row.next() }}{{ '{} and {}'.format(1, 'x') }}{{ '%s-%d' | format('x', 3) }}",
    "{{ 'abc'.index('x') }}",
    "{{ 'abc'.nothing() }}",
]


def rendered(template, messages, given):
    variables = {"bos_token": "<s>", "eos_token": "</s>", **given.get("variables", {})}
    try:
        return _compile_jinja_template(template).render(
            messages=messages,
            tools=given.get("tools"),
            documents=given.get("documents"),
            add_generation_prompt=True,
            **variables,
        )
    except Exception:
        return None


def cases(templates):
    for template in templates:
        for messages in MESSAGES:
            for given in GIVEN:
                text = rendered(template, MESSAGES[messages], GIVEN[given])
                yield {"template": template, "messages": messages, "given": given, "text": text}


def main():
    here = pathlib.Path(__file__).parent
    output, templates = here.parent / "fixtures" / "chat" / "given.json", TEMPLATES
    if len(sys.argv) == 3:
        output = pathlib.Path(sys.argv[1])
        templates = [path.read_text() for path in sorted(pathlib.Path(sys.argv[2]).rglob("*.jinja"))]
    source = f"Renderings by transformers {transformers.__version__} with jinja2, by tests/chat/make.py"
    recorded = {"source": source, "messages": MESSAGES, "given": GIVEN, "cases": list(cases(templates))}
    output.write_text(json.dumps(recorded, indent=1, ensure_ascii=False) + "\n")


main()
