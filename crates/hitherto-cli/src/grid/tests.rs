use super::*;

#[test]
fn numbers_stand_right_and_words_left() {
    let mut grid = Grid::new([("view", Side::Text), ("facts", Side::Number)]);
    grid.row(["lactate".into(), "709".into()]).row(["creatinine".into(), "2,596".into()]);
    let expected = "view        facts\n\
                    ─────────────────\n\
                    lactate       709\n\
                    creatinine  2,596";
    assert_eq!(grid.to_string(), expected);
}
