{# In a test, after `expected_cte` and `actual_cte` of the same columns: the rows that only one of them has, and which. #}
{% macro differing_rows() %}
    select 'missing' as problem, missing.*
    from
        (
            select *
            from expected_cte
            except
            select *
            from actual_cte
        ) as missing
    union all
    select 'unexpected' as problem, unexpected.*
    from
        (
            select *
            from actual_cte
            except
            select *
            from expected_cte
        ) as unexpected
{% endmacro %}
