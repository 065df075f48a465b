from __future__ import annotations

from typing import Any

import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.errors import Fault, RenderError
from runner.render import TemplateError, compile_template, unknown_names

ROW: dict[str, Any] = {
    "question": "1+1?",
    "odd name": "odd",
    "n": 2,
    "meta": {"items": 3, "x": 4},
    "none": None,
}


def render(source: str, row: dict[str, Any] | None = None, **names: object) -> str:
    return compile_template(source, name="t").render({"row": ROW if row is None else row, **names})


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ row.question }}", "1+1?"),
        ("{{ row['odd name'] }}", "odd"),
        ("{{ row.meta.x }} {{ row.none or '-' }}", "4 -"),
        ("Q: {{ row.question }}\nA: {{ first }}\n", "Q: 1+1?\nA: two\n"),
        ("a\n\n", "a\n\n"),
        ("{% if row.n > 1 %}\nmany\n{% endif %}\nend", "\nmany\n\nend"),
        ("{%- if row.n > 1 -%}\nmany\n{%- endif %}\nend", "many\nend"),
        ("a\n  {% if row.n %}b{% endif %}  \n", "a\n  b  \n"),
        ("  {% for key in row.meta %}\n  {{ key }}\n  {% endfor %}", "  \n  items\n  \n  x\n  "),
        ("{{ row | length }}{{ 'n' in row }}", "5True"),
        ("{{ row.absent | default('-') }}{{ row.absent is defined }}", "-False"),
        ("{{ '%s' | format(row.n) }} <&>{{ '<&>' }}", "2 <&><&>"),
        ("no names at all", "no names at all"),
        ("{{ [2, 1] | reverse | join }}{{ 'ab' | reverse }}", "12ba"),
        ("{% for x in ['a'] | map('upper') %}{{ loop.last }}{{ x }}{% endfor %}", "TrueA"),
    ],
)
def test_template_renders(source: str, text: str) -> None:
    """Columns, slots, blocks and filters give the text one reads off the template."""
    assert render(source, first="two") == text


blocks = st.lists(
    st.sampled_from([
        "\n",
        "\r\n",
        "  ",
        "\t",
        "text",
        "{{ row.n }}",
        "{# note #}",
        "{% set x = 1 %}",
        "{% if row.n %}\n  yes\n  {% endif %}",
        "{%- if row.n -%} yes {%- endif %}",
        "  {% for key in row %}\n{{ key }}\n{% endfor %}\n",
        "{% raw %}{{ raw }}\n{% endraw %}",
    ]),
    max_size=6,
)


@settings(deadline=None)
@given(pieces=blocks)
def test_white_space_is_what_jinja2_makes_of_it(pieces: list[str]) -> None:
    """A text is the one of ``jinja2.Environment(keep_trailing_newline=True)``, byte for byte."""
    source = "".join(pieces)
    plain = jinja2.Environment(keep_trailing_newline=True, undefined=jinja2.StrictUndefined)

    assert render(source) == plain.from_string(source).render(row=ROW)


@pytest.mark.parametrize("column", ["items", "keys", "values", "copy", "get", "pop", "update"])
def test_columns_win_over_methods_of_dict(column: str) -> None:
    """A column may be called like a method of dict; if it isn't there, the method isn't either."""
    for source in (f"{{{{ row.{column} }}}}", f"{{{{ row['{column}'] | string }}}}"):
        assert render(source, {column: "mine"}) == "mine"
        with pytest.raises(RenderError, match=f"the row has no column '{column}'"):
            render(source, {"other": 1})


def test_keys_win_over_methods_inside_a_row() -> None:
    """A map in a column gives its key first, and methods where it has no such key."""
    assert render("{{ row.meta.items }}") == "3"
    assert render("{{ row.m.items() | list }}", {"m": {"a": 1}}) == "[('a', 1)]"


def test_tojson_is_plain_json() -> None:
    """Prompts aren't HTML: nothing is escaped, and no text after it is."""
    assert render("{{ row.a | tojson }}{{ (row.a | tojson) + '<' }}", {"a": ["<é>"]}) == '["<é>"]["<é>"]<'


def test_tojson_writes_a_whole_row() -> None:
    """A row is a map like any other."""
    assert render("{{ row | tojson }}", {"b": 1, "a": None}) == '{"b": 1, "a": null}'


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
columns = st.sampled_from(["a", "items", "get", "__class__", "b"])
pieces = st.lists(
    st.one_of(
        st.text("ab \n\t-{}%#", max_size=5),
        columns.map(lambda name: f"{{{{ row.{name} }}}}"),
        columns.map(lambda name: f"{{{{- row['{name}'] -}}}}"),
        st.sampled_from(["{{ row }}", "{{ first }}", "{{ absent }}", "{{ range }}", "{# note #}"]),
    ),
    max_size=5,
)


@settings(deadline=None)
@given(pieces=pieces, row=st.dictionaries(columns, values), first=st.text())
def test_short_path_equals_the_general_one(pieces: list[str], row: dict[str, Any], first: str) -> None:
    """A template of text and look-ups is rendered without Jinja2: same text, same errors."""
    try:
        template = compile_template("".join(pieces), name="t")
    except TemplateError:
        return
    names = {"row": row, "first": first}
    results = []
    for path in (template.render, template._render):
        try:
            results.append(path(names))
        except RenderError as error:
            results.append(str(error))

    assert results[0] == results[1]


def test_short_path_is_taken_for_plain_look_ups() -> None:
    """The templates that most experiments have don't pay for Jinja2."""
    assert compile_template("Q: {{ row.q }} {{ first }} {{ row['x y'] }}", name="t")._direct is not None
    assert compile_template("{{ row.q | trim }}", name="t")._direct is None


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "a\n{{ row.quesion }}",
            r"template t:2: the row has no column 'quesion' \(did you mean 'question'\?",
        ),
        ("{{ absent }}", "template t:1: .*absent"),
        ("a\n{{ row.none }}", r"template t:2: row.none is null; write \{\{ row.none or '' \}\} to allow it"),
        ("{{ row['odd null'] }}", r"t:1: row\['odd null'\] is null"),
        ("{{ row.n }}\n{{ row.none | default(1) }}", "t:2: an expression is null"),
        ("{% if row.n %}{{ row.none }}{% endif %}", "t:1: an expression is null"),
        ("{{ none }}", "t:1: an expression is null"),
        ("\n\n{{ row.n + 'x' }}", "template t:3: TypeError: "),
        ("{{ row.n / 0 }}", "ZeroDivisionError"),
        ("{{ row.question.split('+')[9] }}", "template t:1: .*9"),
        ("{{ row.question.__class__ }}", "template t:1: .*__class__"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ row.l.append(1) }}", "unsafe"),
        ("{{ '{0.__class__}'.format(row.n) }}", "unsafe"),
        ("{{ 'x' * row.big }}", "MemoryError|OverflowError"),
        ("{% for i in range(row.big) %}{% endfor %}", "OverflowError: "),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "RecursionError"),
    ],
)
def test_failing_template_fails_the_row(source: str, message: str) -> None:
    """Whatever an expression does on a row's values is one error of that row, with the line."""
    with pytest.raises(RenderError, match=message) as caught:
        render(source, {**ROW, "big": 10**17, "l": [], "odd null": None})

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "expression",
    [
        "row.l | map('upper')",
        "row.l | batch(2)",
        "row.meta | items",
        "[row.l | select]",
        "'x' ~ (row.l | unique)",
        "['a'] | map('upper') ~ 'x'",
        "row.l | reverse | string",
        "'%s' | format(row.l | map('upper'))",
        "cycler(1, 2)",
    ],
)
def test_values_that_come_one_after_another_are_no_text(expression: str) -> None:
    """Python would write where in memory their generator lies, and no two runs would send the same."""
    with pytest.raises(RenderError, match=r"template t:1: .* not a text; add `| list` or `| join`"):
        render(f"{{{{ {expression} }}}}", {**ROW, "l": ["a", "b"]})


@pytest.mark.parametrize("expression", ["row.meta.keys", "row.question.title", "range", "'abc'.title"])
def test_methods_are_no_text(expression: str) -> None:
    """A method that was not called is told instead of its address."""
    with pytest.raises(RenderError, match=r"template t:1: .* a method or a function, not a text; call it"):
        render(f"{{{{ {expression} }}}}")


@pytest.mark.parametrize(
    ("source", "line", "problem", "hint"),
    [
        ("{{ row.x", 1, "template qa/user.j2:1: .", ""),
        ("\n{% if row.x %}", 2, "template qa/user.j2:2: .", ""),
        ("\n{{ row.x | trimm }}", 2, "'trimm'", "did you mean 'trim'"),
        ("{{ row.x is define }}", 1, "'define'", "did you mean 'defined'"),
        ("{{ row.l | random }}", 1, "'random'", ""),
        ("a\n\n{% include 'rubrik.j2' %}", 3, "no file 'rubrik.j2'", "did you mean 'rubric.j2'"),
    ],
)
def test_broken_template_is_refused_with_its_line(source: str, line: int, problem: str, hint: str) -> None:
    """A template that can't be compiled is the user's mistake, found before anything runs."""
    with pytest.raises(TemplateError, match=problem) as caught:
        compile_template(source, name="qa/user.j2", siblings={"rubric.j2": ""})

    assert (caught.value.name, caught.value.line) == ("qa/user.j2", line)
    assert hint in caught.value.hint
    assert caught.value.fault("prompt.template").place == "prompt.template"


def test_siblings_can_be_included_and_imported() -> None:
    """Files of the folder are there by name; what they need counts as needed."""
    files = {
        "rubric.j2": "R {{ row.rubric }}{{ local }}",
        "macros.j2": "{% macro shout(x) %}{{ x | upper }}{% endmacro %}",
    }
    source = (
        "{% import 'macros.j2' as m %}{% set local = '!' %}{{ m.shout(row.q) }} {% include 'rubric.j2' %}"
    )
    template = compile_template(source, name="judge/user.j2", siblings=files)

    assert template.render({"row": {"q": "hi", "rubric": "ok"}}) == "HI R ok!"
    assert template.names() == {"row"}
    assert template.columns() == {"q", "rubric"}


def test_error_in_an_included_file_names_that_file() -> None:
    """The place is that of the innermost template, at compile time and for a row."""
    bad = {"part.j2": "\n{{ row.absent }}"}
    with pytest.raises(RenderError, match=r"template part.j2:2: the row has no column 'absent'"):
        compile_template("{% include 'part.j2' %}", name="u", siblings=bad).render({"row": {}})
    with pytest.raises(TemplateError, match=r"template part.j2:1: "):
        compile_template("{% include 'part.j2' %}", name="u", siblings={"part.j2": "{{"})


def test_files_on_disk_can_not_be_included() -> None:
    """A template sees its folder's files and nothing else of the disk."""
    with pytest.raises(TemplateError, match="no file '/etc/passwd'"):
        compile_template("{% include '/etc/passwd' %}", name="t")
    with pytest.raises(RenderError, match="/etc/passwd"):
        render("{% include row.path %}", {"path": "/etc/passwd"})


def test_names_and_columns_are_seen_before_any_row() -> None:
    """What a template takes from outside is known, less what it provides for being absent."""
    source = "{% set a = b %}{{ row.x }}{{ row['y z'] }}{{ row.w | d('') }}{{ range(3) }}{{ a }}"
    template = compile_template(source, name="t")

    assert template.names() == {"b", "row"}
    assert template.columns() == {"x", "y z"}


def test_unknown_name_is_a_fault_with_the_nearest() -> None:
    """A typing error in a name is found when the plan is made."""
    template = compile_template("{{ frist }} {{ row.x }}", name="user")

    expected = Fault(
        "prompt.user", "template user: unknown name 'frist'", "did you mean 'first'? known: row, first"
    )
    assert unknown_names(template, ["row", "first"], "prompt.user") == [expected]
    assert unknown_names(template, ["row", "first", "frist"], "prompt.user") == []


def test_compiling_the_same_template_again_is_free() -> None:
    """A thousand points share one compiled template."""
    assert compile_template("{{ row.x }}", name="t") is compile_template("{{ row.x }}", name="t")
