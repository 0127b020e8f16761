use proptest::prelude::*;

use super::*;

fn columns() -> impl Strategy<Value = Column> {
    let values = prop_oneof![
        prop::collection::vec(any::<bool>(), 0..9).prop_map(|v| (Values::Bool(v), "bool")),
        prop::collection::vec(any::<i32>(), 0..9).prop_map(|v| (Values::I32(v), "date32")),
        prop::collection::vec(any::<i64>(), 0..99).prop_map(|v| (Values::I64(v), "timestamp(us)")),
        prop::collection::vec(any::<u32>(), 0..9).prop_map(|v| (Values::U32(v), "uint16")),
        prop::collection::vec(any::<u64>(), 0..9).prop_map(|v| (Values::U64(v), "uint64")),
        prop::collection::vec(any::<f32>(), 0..9).prop_map(|v| (Values::F32(v), "float32")),
        prop::collection::vec(any::<f64>(), 0..99).prop_map(|v| (Values::F64(v), "float64")),
        prop::collection::vec(any::<i128>(), 0..9)
            .prop_map(|v| (Values::I128(v), "decimal128(9, 2)")),
        (prop::collection::vec(any::<u32>(), 0..9), prop::collection::vec(any::<u8>(), 0..300))
            .prop_map(|(ends, data)| (Values::Varlen { ends, data }, "string")),
    ];
    let statuses = prop::collection::vec(0_u8..4, 0..200);
    (values, "[a-z:]{0,9}", statuses).prop_map(|((values, data_type), name, statuses)| Column {
        name,
        data_type: data_type.parse().expect("a type"),
        is_filled: statuses.len() > 100,
        statuses,
        values,
    })
}

proptest! {
    #[test]
    fn an_answer_is_the_message_of_the_contract(
        at_micros in prop_oneof![Just(0), any::<i64>()],
        rows in 0..3_u32,
        columns in prop::collection::vec(columns(), 0..5),
        times in prop::collection::vec(any::<i64>(), 0..3),
        catalog_version in 0..400_u64,
        arrow in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let times: Vec<_> = times
            .into_iter()
            .map(|micros| v1::ViewTimes {
                view: micros.to_string(),
                event_micros: vec![micros],
                known_micros: Vec::new(),
            })
            .collect();
        let message = v1::LookupResponse {
            at_micros,
            rows,
            columns: columns.iter().cloned().map(Into::into).collect(),
            times: times.clone(),
            catalog_version,
            arrow: arrow.clone(),
        };
        let answer = Answer { at_micros, rows, columns, times, catalog_version, arrow };
        let mut written = Vec::new();
        answer.encode(&mut written);
        prop_assert_eq!(answer.encoded_len(), written.len());
        prop_assert_eq!(written, message.encode_to_vec());
    }
}
