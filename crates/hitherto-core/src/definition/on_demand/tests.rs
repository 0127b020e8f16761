//! On-demand views, through [`load`] and [`diff`](super::super::diff::diff) only.

use super::super::{Definitions, ResourceKind, diff, load};
use crate::error::Kind;

/// Two entities with a view each, and an on-demand view; tests change parts of it.
const REPOSITORY: &str = r#"apiVersion: hitherto/v1
kind: Entity
metadata: { name: customer }
spec: { keys: [{ name: customer_id, type: int64 }] }
---
apiVersion: hitherto/v1
kind: Entity
metadata: { name: merchant }
spec: { keys: [{ name: merchant_id, type: int64 }] }
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: spend }
spec:
  entity: customer
  source: { parquet: spend/, eventTime: at }
  features: [{ name: mean, type: float64 }, { name: n, type: int64 }]
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: sales }
spec:
  entity: merchant
  source: { parquet: sales/, eventTime: at }
  features: [{ name: mean, type: float64 }]
---
apiVersion: hitherto/v1
kind: OnDemandView
metadata: { name: risk, owner: fraud }
spec:
  request: [{ name: amount, type: float64 }]
  inputs: ["spend:*"]
  features:
    - { name: ratio, type: float64, expr: amount / spend.mean, default: -1 }
    - { name: many, type: bool, expr: n > 10 }
---
apiVersion: hitherto/v1
kind: OnDemandView
metadata: { name: verdict }
spec:
  inputs: ["risk:ratio"]
  features: [{ name: high, type: bool, expr: ratio > 3 }]
---
apiVersion: hitherto/v1
kind: FeatureService
metadata: { name: fraud_v1 }
spec: { features: ["risk:*", "spend:n", "verdict:high"] }
"#;

fn with(from: &str, to: &str) -> String {
    assert_eq!(REPOSITORY.matches(from).count(), 1, "{from:?} is in the repository once");
    REPOSITORY.replace(from, to)
}

fn definitions(text: &str) -> Definitions {
    load(&[(String::from("repo.yaml"), text.to_owned())]).unwrap().definitions
}

/// Loading refuses the repository with one part written otherwise, with exactly this.
fn refused(from: &str, to: &str, expected: &str) {
    let error = load(&[(String::from("repo.yaml"), with(from, to))]).unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert_eq!(error.to_string(), format!("repo.yaml:{expected}"));
    assert!(expected.contains("; "), "it says what to do");
}

#[test]
fn a_view_and_what_it_reads_are_read() {
    let read = definitions(REPOSITORY);
    let risk = read.on_demand_view("risk").unwrap();
    let inputs: Vec<String> = risk.inputs.iter().map(ToString::to_string).collect();
    assert_eq!(inputs, ["spend:mean", "spend:n"]);
    assert_eq!((risk.views(), risk.request[0].name.as_str()), (vec!["spend"], "amount"));
    assert_eq!(risk.features[0].expr, "amount / spend.mean");
    assert_eq!(risk.features[0].default_values(), Some(crate::column::Values::F64(vec![-1.0])));
    let service = read.service("fraud_v1").unwrap();
    let features: Vec<String> = service.features.iter().map(ToString::to_string).collect();
    assert_eq!(features, ["risk:ratio", "risk:many", "spend:n", "verdict:high"]);
    let both = "  entities: [merchant, customer]\n  inputs: [\"sales:mean\", \"spend:n\"]";
    assert_eq!(definitions(&with("  inputs: [\"spend:*\"]", both)).on_demand.len(), 2);
}

#[test]
fn what_cannot_be_is_refused_with_its_place() {
    let inputs = "[\"spend:*\"]";
    refused(
        inputs,
        "[\"spend:mena\"]",
        "32:12: on-demand view \"risk\": feature view \"spend\" has no feature \"mena\"; did you \
         mean \"mean\"?",
    );
    refused(
        inputs,
        "[\"spent:*\"]",
        "32:12: on-demand view \"risk\": feature view \"spent\" is not defined; did you mean \
         \"spend\"?",
    );
    refused(
        inputs,
        "[\"spend:*\", \"spend:n\"]",
        "32:23: on-demand view \"risk\": input \"spend:n\" is already at repo.yaml:32:12; \
         remove one",
    );
    refused(
        inputs,
        "[\"spend:*\", \"sales:*\"]",
        "32:23: on-demand view \"risk\": it reads features of \"spend\", of entity \"customer\", and \
         of \"sales\", of entity \"merchant\"; write entities: [customer, merchant] if every \
         request brings the join keys of all, or leave one out",
    );
    refused(
        inputs,
        "[\"spend:*\", \"verdict:high\"]",
        "32:23: on-demand view \"risk\": it reads itself: risk -> verdict -> risk; leave one of \
         these inputs out",
    );
    refused(
        "name: amount",
        "name: customer_id",
        "31:21: on-demand view \"risk\": field \"customer_id\" of the request is a join key of an \
         input, which every request has already; give the field another name",
    );
    refused(
        "{ name: verdict }",
        "{ name: sales }",
        "39:19: on-demand view \"sales\": a feature view is called so, too, and references name \
         both alike; give one of them another name\nrepo.yaml:47:41: feature service \"fraud_v1\": \
         feature view \"verdict\" is not defined; there is sales, spend, risk, sales",
    );
}

#[test]
fn a_change_alters_answers_and_no_stored_row() {
    let old = definitions(REPOSITORY);
    let change = |text: &str| diff::diff(&old, &definitions(text));
    let changes = change(&with("amount / spend.mean", "amount - spend.mean"));
    assert_eq!(changes.len(), 1);
    assert_eq!(
        (changes[0].kind, changes[0].effect),
        (ResourceKind::OnDemandView, diff::Effect::Serving)
    );
    let (path, new) = (&changes[0].fields[0].path, &changes[0].fields[0].new);
    assert_eq!((path.as_str(), new.as_str()), ("features.ratio.expr", "amount - spend.mean"));
    let hash = |text: &str| definitions(text).on_demand_view("risk").unwrap().definition_hash();
    assert_ne!(hash(REPOSITORY), hash(&with("amount / spend.mean", "amount - spend.mean")));
    assert_ne!(hash(REPOSITORY), hash(&with(", default: -1", "")));
    assert_eq!(hash(REPOSITORY), hash(&with(", owner: fraud", "")));
}
