//! Errors to Python exceptions. Which class stands for which kind is one table,
//! `BY_KIND` in `python/hitherto/_errors.py`; this looks it up.

use hitherto_core::Error;
use pyo3::prelude::*;

/// The exception for `error`, its message with every cause.
pub fn raise(error: Error) -> PyErr {
    Python::attach(|py| exception(py, &error).map_or_else(|failed| failed, PyErr::from_value))
}

fn exception<'py>(py: Python<'py>, error: &Error) -> PyResult<Bound<'py, PyAny>> {
    let classes = py.import("hitherto._errors")?.getattr("BY_KIND")?;
    classes.get_item(error.kind().name())?.call1((in_python(&error.chain()),))
}

/// What stands between what the command line calls something and what Python does.
const IN_PYTHON: &str = " (in Python ";

/// A message that says both, as Python alone would say it: `name it with --timestamp (in
/// Python timestamp=)` is `name it with timestamp=`. What the command line says is an option,
/// or a whole command in backticks.
pub fn in_python(message: &str) -> String {
    let mut text = String::with_capacity(message.len());
    let mut rest = message;
    while let Some((before, after)) = rest.split_once(IN_PYTHON) {
        let said = match before.strip_suffix('`') {
            Some(quoted) => quoted.rfind('`'),
            None => before.rfind("--"),
        };
        let mut depth = 1;
        let end = after.find(|c: char| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            depth == 0
        });
        let (Some(said), Some(end)) = (said, end) else { break };
        text.push_str(&before[..said]);
        text.push_str(&after[..end]);
        rest = &after[end + 1..];
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::in_python;

    #[test]
    fn a_message_says_what_python_calls_it() {
        for (said, expected) in [
            ("name it with --timestamp (in Python timestamp=)", "name it with timestamp="),
            (
                "run `hitherto materialize v` (in Python store.materialize([\"v\"])), and push",
                "run store.materialize([\"v\"]), and push",
            ),
            (
                "use --server URL (in Python hitherto.connect(URL)), or stop it",
                "use hitherto.connect(URL), or stop it",
            ),
            ("--a (in Python a=) and --b X (in Python b=X)", "a= and b=X"),
            ("nothing of both", "nothing of both"),
            ("broken (in Python x", "broken (in Python x"),
        ] {
            assert_eq!(in_python(said), expected);
        }
    }
}
