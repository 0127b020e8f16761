use super::*;

fn progress(entry: &Entry) -> JobProgress {
    entry.job().progress.unwrap()
}

#[test]
fn rows_are_never_more_than_all_of_them() {
    let board = Board::default();
    let entry = board.begin("materialize labs", 1).unwrap();
    entry.begin("labs", 100);
    entry.stage("labs", Stage::Reading);
    Progress::advance(&*entry, "labs", 40);
    let found = progress(&entry);
    assert_eq!((found.rows, found.rows_total, found.stage()), (40, 100, JobStage::Reading));
    assert!(found.seconds_left.is_some());
    // A fact that was pushed is in no file.
    Progress::advance(&*entry, "labs", 101);
    assert_eq!((progress(&entry).rows, progress(&entry).rows_total), (101, 101));
}

#[test]
fn what_was_read_is_all_there_is_and_what_follows_has_a_name() {
    let board = Board::default();
    let entry = board.begin("materialize labs", 1).unwrap();
    entry.begin("labs", 94_261);
    entry.stage("labs", Stage::Reading);
    // The view's SQL drops most rows.
    Progress::advance(&*entry, "labs", 14_334);
    entry.stage("labs", Stage::Sorting);
    let found = progress(&entry);
    assert_eq!((found.rows, found.rows_total, found.stage()), (14_334, 14_334, JobStage::Sorting));
    assert_eq!(found.seconds_left, None);
    entry.stage("labs", Stage::Writing { done: 3, parts: 8 });
    let found = progress(&entry);
    assert_eq!((found.stage(), found.parts_done, found.parts), (JobStage::Writing, 3, 8));
    entry.stage("labs", Stage::Committing);
    Progress::end(&*entry, "labs", 14_334);
    let found = progress(&entry);
    assert_eq!(
        (found.rows, found.rows_total, found.stage()),
        (14_334, 14_334, JobStage::Committing)
    );
}
