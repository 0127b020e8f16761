-- Results that were ever released. A dose of 0 is none.
select patient_id, drawn, released, lactate, nullif(dose, 0) as dose
from {{ source('wards', 'results') }}
where released is not null
