use super::*;

/// What an argument holds; `!` if it is refused.
fn check(text: &str, expected: &[&str]) {
    let found = match text.parse::<KeyArgument>() {
        Ok(argument) => argument.values,
        Err(_) => vec!["!".to_owned()],
    };
    assert_eq!(found, expected, "{text}");
}

#[test]
fn values_stand_between_commas() {
    check("k=1", &["1"]);
    check("k=1,2,3", &["1", "2", "3"]);
    check("k=", &[""]);
    check("k=a,,b", &["a", "", "b"]);
    check("k=a=b", &["a=b"]);
    check(r"k=Doe\, John,x\\y", &["Doe, John", r"x\y"]);
    check("k", &["!"]);
    check("=1", &["!"]);
}

#[test]
fn values_are_read_as_their_key_and_repeated_names_are_one_column() {
    let arguments = ["id=1,2", "name=a,b,c", "id=3"];
    let arguments: Vec<KeyArgument> =
        arguments.iter().map(|text| text.parse().expect("an argument")).collect();
    let type_of = |name: &str| (name == "id").then_some(DataType::Int64);
    let columns = columns(&arguments, type_of).expect("columns");
    assert_eq!(columns[0].parts, [1, 2, 3].map(|id| Some(OwnedPart::Int(id))));
    assert_eq!(columns[1].parts.len(), 3);
}

#[test]
fn fields_of_the_request_are_typed_columns_and_nothing_is_null() {
    let field = Field {
        name: String::from("amount"),
        data_type: DataType::Float64,
        description: String::new(),
    };
    let arguments = ["amount=1.5,", "amount=2"].map(|text| text.parse().expect("an argument"));
    let columns = brought(&arguments, std::iter::once(&field)).expect("columns");
    assert_eq!((columns.len(), &*columns[0].statuses), (1, &[0, 1, 0][..]));
    let odd = ["amount=x".parse().expect("an argument")];
    let refusal = brought(&odd, std::iter::once(&field)).expect_err("no number");
    assert!(refusal.to_string().contains("at position 0"), "{refusal}");
}

#[test]
fn a_value_of_another_type_is_refused_by_name() {
    let argument = "id=x".parse().expect("an argument");
    let refusal = columns(&[argument], |_| Some(DataType::Int64)).expect_err("no number");
    assert!(refusal.to_string().contains("\"id\""), "{refusal}");
}
