"""Templates: Jinja2 in its sandbox, strict about undefined names; the only user of Jinja2.

What a template may rely on:

- ``row`` holds the columns. ``row.items`` and ``row['items']`` are the column ``items``, never a
  method of dict; a column that isn't there is undefined. In a map inside a row, keys come first too.
- White space stays as it is written, the newline at the end included: texts are rendered as by
  ``jinja2.Environment(keep_trailing_newline=True)``. ``{%- ... -%}`` drops white space around a tag.
- ``tojson`` writes plain JSON, not HTML-safe JSON; nothing is escaped.
- ``include``, ``import`` and ``extends`` find the files of the template's own folder.
- ``random`` and ``lipsum`` are missing: the same row always gives the same text.
"""

from runner.render.errors import JinjaError, TemplateError
from runner.render.sandbox import missing_column, suggestion
from runner.render.template import Template, compile_template, look_up, template_faults, unknown_names
from runner.render.value import ValueTemplate, compile_value

__all__ = [
    "JinjaError",
    "Template",
    "TemplateError",
    "ValueTemplate",
    "compile_template",
    "compile_value",
    "look_up",
    "missing_column",
    "suggestion",
    "template_faults",
    "unknown_names",
]
