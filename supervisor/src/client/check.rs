//! `check`: reads a layout as the supervisor would, and says what follows from it. Starts nothing.
//!
//! Findings go to standard error, what the layout means to standard output.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use cluster::control::reply::ErrorBody;
use cluster::control::{Code, SCHEMA};
use cluster::layout::finding::{Finding, Severity};
use cluster::layout::{self, Layout, Overrides, describe, host::Host};
use cluster::sys::host::ThisHost;
use serde_json::{Value, json};

use super::failure::ClientError;
use super::finish;
use super::out::{Console, clean_lines};
use crate::cli::CheckArgs;
use crate::cli::shared::{Common, RUN_DIR};

/// Runs `check` on the process's own standard output and standard error.
pub(crate) fn run(args: &CheckArgs) -> ExitCode {
    let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
    let common = Common {
        json: args.json,
        ..Common::default()
    };
    let mut console = Console::standard(&mut out, &mut err, &common);
    let checked = check(args, &ThisHost, &mut console);
    ExitCode::from(u8::from(finish(checked, &mut console)))
}

/// What the command line says on top of a layout, with paths made absolute.
pub(crate) fn overrides(run_dir: Option<&Path>, instance: Option<&str>) -> io::Result<Overrides> {
    Ok(Overrides {
        run_dir: run_dir.map(std::path::absolute).transpose()?,
        instance: instance.map(str::to_owned),
        default_run_dir: std::path::absolute(RUN_DIR)?,
    })
}

fn check(
    args: &CheckArgs,
    host: &dyn Host,
    console: &mut Console<'_>,
) -> Result<Code, ClientError> {
    let unreadable = |source| ClientError::File {
        path: args.file.clone(),
        source,
    };
    let text = std::fs::read_to_string(&args.file).map_err(unreadable)?;
    let overrides =
        overrides(args.run_dir.as_deref(), args.instance.as_deref()).map_err(unreadable)?;
    let (layout, findings) = match layout::read(&text, &args.file, &overrides, host) {
        Ok((layout, findings)) => (Some(layout), findings),
        Err(findings) => (None, findings),
    };
    let good = layout.is_some() && (findings.is_empty() || !args.strict);
    if console.json {
        console.print_json(&answer(good, layout.as_ref(), &findings).to_string())?;
    } else {
        for finding in &findings {
            tell(finding, console);
        }
        if let Some(layout) = &layout {
            console.print(&describe::text(layout, &[]))?;
        }
    }
    Ok(if good { Code::Done } else { Code::Invalid })
}

fn tell(finding: &Finding, console: &mut Console<'_>) {
    let text = clean_lines(&finding.to_string());
    match finding.severity {
        Severity::Error => console.complain(&text),
        Severity::Warning | Severity::NotActedOn => console.explain(&format!("{text}\n")),
    }
}

/// The layout stands here as `describe` tells it: without the values of variables, which may be
/// secrets.
fn answer(good: bool, layout: Option<&Layout>, findings: &[Finding]) -> Value {
    let mut told = layout.map(|layout| describe::summary_json(layout, &[]));
    if let Some(Value::Object(told)) = &mut told {
        told.remove("findings");
    }
    let mut answer = json!({
        "schema": SCHEMA,
        "ok": good,
        "findings": findings,
        "layout": told,
    });
    if let (false, Value::Object(answer)) = (good, &mut answer) {
        let error = ErrorBody {
            code: Code::Invalid,
            message: "the layout is invalid, see findings".to_owned(),
            node: None,
        };
        answer.insert("error".to_owned(), json!(error));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Code, standard output and standard error of `check` on a text.
    fn checked(text: &str, strict: bool, json: bool) -> (Code, String, String) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("site.ron");
        std::fs::write(&file, text).unwrap();
        let args = CheckArgs {
            file,
            strict,
            instance: None,
            run_dir: Some(directory.path().join("run")),
            json,
        };
        let common = Common {
            json,
            ..Common::default()
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut console = Console::new(&mut out, &mut err, &common);
        let result = check(&args, &ThisHost, &mut console);
        let code = finish(result, &mut console);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (code, text(out), text(err))
    }

    #[test]
    fn a_good_layout_is_described_and_nothing_is_complained_about() {
        let good = "Layout(nodes: { \"job\": (command: [\"/bin/true\"]) })";
        let (code, out, err) = checked(good, true, false);
        assert_eq!((code, err.as_str()), (Code::Done, ""));
        assert!(out.contains("job"), "{out}");
        let (code, out, _) = checked(good, true, true);
        let answer: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((code, &answer["ok"]), (Code::Done, &Value::Bool(true)));
        assert!(answer["layout"].is_object() && answer["findings"].is_array());
    }

    #[test]
    fn a_bad_layout_ends_with_the_code_of_invalid_and_says_where() {
        let bad = "Layout(nodes: { \"a b\": (command: [\"/bin/true\"]) })";
        let (code, out, err) = checked(bad, false, false);
        assert_eq!((code, out.as_str()), (Code::Invalid, ""));
        assert!(err.contains("site.ron:1:"), "{err}");
        let (code, out, err) = checked(bad, false, true);
        assert_eq!((code, err.as_str()), (Code::Invalid, ""));
        let answer: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(answer["error"]["code"], 3);
        assert!(answer["layout"].is_null());
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let args = CheckArgs {
            file: "/nowhere/site.ron".into(),
            strict: false,
            instance: None,
            run_dir: None,
            json: false,
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut console = Console::new(&mut out, &mut err, &Common::default());
        let error = check(&args, &ThisHost, &mut console).unwrap_err();
        assert_eq!(error.code(), Code::Invalid);
        assert!(error.chain().starts_with("cannot read /nowhere/site.ron"));
    }
}
