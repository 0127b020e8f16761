//! Golden situations: facts and questions that a stranger can read, with the
//! answers that must come out, on every path that there is.
//!
//! | module   | what it owns                                                     |
//! | -------- | ----------------------------------------------------------------- |
//! | `script` | the text of `fixtures/situations/*.txt`, read strictly            |
//! | `stage`  | a repository in which every situation is a view of its own        |
//! | `shapes` | situations about spines, services and order, which are no tables  |
//!
//! Every situation is staged twice: as it is written, materialized after
//! everything has happened; and with its facts reversed, materialized before
//! anything has. Where a situation says when it was loaded, both are loaded then.

mod script;
mod shapes;
mod stage;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use self::script::{Answer, Question, Situation};
use self::stage::{Order, Stage};
use crate::oracle;

/// All situations of all files.
fn situations() -> Vec<Situation> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/situations");
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    let mut situations = Vec::new();
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&file).unwrap();
        let read = script::parse(&name, &text).unwrap_or_else(|why| panic!("{why}"));
        // Counted from the bare text as well, in case the parser forgets one.
        let stated = text.lines().filter(|line| line.starts_with("situation ")).count();
        assert_eq!(read.len(), stated, "{name}");
        situations.extend(read);
    }
    let names: BTreeSet<&str> = situations.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names.len(), situations.len(), "two situations have one name");
    situations
}

fn questions(situations: &[Situation]) -> usize {
    situations.iter().map(|situation| situation.questions.len()).sum()
}

/// What the oracle would answer, reasons aside.
fn by_oracle(situation: &Situation, question: &Question) -> oracle::Answer {
    let Some(key) = question.entity.0.clone().zip(question.entity.1.clone()) else {
        return oracle::Answer::NotFound;
    };
    // The oracle honours known time. To make it ignore known times, all of them
    // are moved so far back, in their order, that everyone knows everything.
    let shift = if situation.is_known_ignored { i64::MAX / 4 } else { 0 };
    let facts: Vec<oracle::Fact> = situation
        .facts
        .iter()
        .filter_map(script::StatedFact::whole)
        .map(|fact| oracle::Fact { known: fact.known.map(|known| known - shift), ..fact })
        .collect();
    let asked = oracle::Question {
        at: question.at,
        known_by: question.known_by.unwrap_or(i64::MAX),
        ttl: situation.ttl,
    };
    oracle::answer(&facts, &key, asked)
}

#[test]
fn the_oracle_answers_every_question_as_the_situations_say() {
    for situation in situations() {
        for question in &situation.questions {
            let expected = match question.answer {
                Answer::Value(value) => oracle::Answer::Value(value),
                Answer::Null => oracle::Answer::Null,
                Answer::Expired => oracle::Answer::Expired,
                Answer::NeverSeen | Answer::NotYetKnown | Answer::Deleted | Answer::NullKey => {
                    oracle::Answer::NotFound
                }
            };
            let found = by_oracle(&situation, question);
            assert_eq!(found, expected, "{}, {}", question.place, situation.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_stores_and_both_paths_answer_every_question_as_the_situations_say() {
    for order in [Order::AsWritten, Order::Reversed] {
        let situations = situations();
        let stage = Stage::new(&situations, order).await;
        let mut wrong = Vec::new();
        let (mut looked_up, mut trained) = (0, 0);
        for (view, situation) in situations.iter().enumerate() {
            for question in &situation.questions {
                if question.known_by.is_none() {
                    wrong.extend(stage.check_lookups(view, situation, question));
                    looked_up += 1;
                }
                wrong.extend(stage.check_reason(view, situation, question).await);
            }
            let (rows, differences) = stage.check_training_sets(view, situation).await;
            trained += rows;
            wrong.extend(differences);
        }
        assert!(wrong.is_empty(), "{order:?}:\n{}", wrong.join("\n"));
        let with_cutoff = situations.iter().flat_map(|situation| &situation.questions);
        let with_cutoff = with_cutoff.filter(|question| question.known_by.is_some()).count();
        assert_eq!(trained, questions(&situations), "rows of training sets");
        assert_eq!(looked_up + with_cutoff, questions(&situations), "lookups");
    }
}
