//! The features that one aggregate is: window by window, quantile by quantile, bucket by
//! bucket, each with a name and a condition of its own.

use serde_saphyr::Spanned;

use super::form::{AggregateForm, BucketsForm};

/// Names of the features of aggregates in written order, whatever else is wrong with them.
pub fn names(form: &AggregateForm) -> Vec<String> {
    let named = form.name.as_ref().map(|name| name.value.clone());
    let all = variants(form).into_iter().map(|variant| variant.name);
    match named {
        Some(name) => vec![name],
        None => all.collect(),
    }
}

/// One feature of an aggregate that is several.
pub(super) struct Variant<'f> {
    pub name: String,
    pub window: &'f Spanned<String>,
    pub quantile: Option<&'f Spanned<String>>,
    pub bucket: Bucket<'f>,
}

/// Which events of a column's values.
#[derive(Clone, Copy)]
pub(super) enum Bucket<'f> {
    All,
    Of(&'f Spanned<String>),
    Other,
}

/// All features of an aggregate: window by window, quantile by quantile, bucket by bucket.
pub(super) fn variants(form: &AggregateForm) -> Vec<Variant<'_>> {
    let function = form.function.value.trim();
    let number = |found: &Option<Spanned<String>>| {
        found.as_ref().map_or(String::new(), |found| format!("_{}", found.value.trim()))
    };
    let mut stem = match &form.column {
        Some(column) => format!("{}_", column.value.trim()),
        None => String::new(),
    };
    stem.push_str(&match function {
        "last_n_distinct" => format!("last_distinct{}", number(&form.n)),
        "top_k" => format!("top{}", number(&form.k)),
        many if many.ends_with("_n") => {
            format!("{}{}", many.trim_end_matches("_n"), number(&form.n))
        }
        "min_by" | "max_by" => format!("{function}{}", number(&form.by)),
        "approx_quantile" => String::new(),
        other => other.to_owned(),
    });
    let quantiles: Vec<Option<&Spanned<String>>> = match &form.p {
        Some(p) if !p.value.is_empty() => p.value.iter().map(Some).collect(),
        _ => vec![None],
    };
    let mut buckets = vec![Bucket::All];
    if let Some(form) = &form.buckets {
        buckets = form.values.value.iter().map(Bucket::Of).collect();
        if form.other.as_ref().is_some_and(|other| other.value == "true") {
            buckets.push(Bucket::Other);
        }
    }
    let mut all = Vec::new();
    for window in &form.windows.value {
        for quantile in &quantiles {
            for bucket in &buckets {
                let mut name = stem.clone();
                name.extend(quantile.map(|p| percentile(&p.value)));
                name.push_str(&format!("_{}", window.value.trim()));
                name.push_str(&match bucket {
                    Bucket::All => String::new(),
                    Bucket::Of(value) => format!("_{}", as_name(&value.value)),
                    Bucket::Other => String::from("_other"),
                });
                if let Some(offset) = &form.offset {
                    name.push_str(&format!("_offset_{}", offset.value.trim()));
                }
                all.push(Variant { name, window, quantile: *quantile, bucket: *bucket });
            }
        }
    }
    all
}

/// A quantile as part of a name: 0.95 is p95, 0.999 is p99_9.
fn percentile(text: &str) -> String {
    let percent = text.trim().parse::<f64>().unwrap_or(0.0) * 100.0;
    // Ten thousandths of a percent are more than quantiles are told apart by.
    let text = format!("{percent:.4}");
    format!("p{}", text.trim_end_matches('0').trim_end_matches('.').replace('.', "_"))
}

/// A value as part of a name.
fn as_name(value: &str) -> String {
    let lower = value.trim().to_lowercase();
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    lower.chars().map(|c| if is_plain(c) { c } else { '_' }).collect()
}

/// SQL that is true of the events of a bucket.
pub(super) fn bucket_filter(form: Option<&BucketsForm>, bucket: Bucket<'_>) -> Option<String> {
    let column = format!("\"{}\"", form?.column.value.trim().replace('"', "\"\""));
    let text = |value: &Spanned<String>| format!("'{}'", value.value.replace('\'', "''"));
    match bucket {
        Bucket::All => None,
        Bucket::Of(value) => Some(format!("{column} = {}", text(value))),
        Bucket::Other => {
            let listed: Vec<String> = form?.values.value.iter().map(text).collect();
            Some(format!("{column} IS NULL OR {column} NOT IN ({})", listed.join(", ")))
        }
    }
}
