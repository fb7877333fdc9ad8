{#
    The text of a piece of HTML, as posts are written in: a line break for what begins or ends a line, no tags, and
    characters for entities. ingestion/sentiment.py does the same before it reads a text.
#}
{% macro html_text(content) -%}
    {%- set lines = regex_replace_all(
        content,
        "(?i)<(br|/?(p|li|div|blockquote|pre|h[1-6]))\\b[^<>]*>",
        "\n",
    ) -%}
    {%- set html = namespace(text=regex_replace_all(lines, "<[^<>]*>", "")) -%}
    {#- &amp; comes last: &amp;lt; is how &lt; is written. #}
    {%- for entity, character in [
        ("&lt;", "'<'"),
        ("&gt;", "'>'"),
        ("&quot;", "'\"'"),
        ("&#34;", "'\"'"),
        ("&#39;", "chr(39)"),
        ("&#x27;", "chr(39)"),
        ("&apos;", "chr(39)"),
        ("&nbsp;", "' '"),
        ("&amp;", "'&'"),
    ] -%}
        {%- set html.text = (
            "replace("
            ~ html.text
            ~ ", '"
            ~ entity
            ~ "', "
            ~ character
            ~ ")"
        ) -%}
    {%- endfor -%}
    {{ html.text }}
{%- endmacro %}
