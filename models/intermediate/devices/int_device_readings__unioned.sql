with
    final_cte as (
        {{
            union_sources(
                [
                    ref("int_device_readings__from_devices"),
                ]
            )
        }}
    )

select *
from final_cte
