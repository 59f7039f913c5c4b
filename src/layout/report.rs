//! Collects findings while a layout is read, each with its place in the text.

use super::finding::{Finding, Severity};
use super::position::{Index, Position};
use super::suggest::Hints;

/// More errors than this, and more of anything else, are counted and not kept.
const FINDINGS_MAX: usize = 500;

/// The findings so far. A path (`["nodes", "worker", "manager"]`) says what each is about.
#[derive(Debug)]
pub(super) struct Report {
    file: String,
    pub(super) index: Index,
    findings: Vec<Finding>,
    errors: usize,
    others: usize,
    left_out: usize,
    hints: Hints,
}

impl Report {
    pub(super) fn new(file: String, index: Index) -> Self {
        Self {
            file,
            index,
            findings: Vec::new(),
            errors: 0,
            others: 0,
            left_out: 0,
            hints: Hints::default(),
        }
    }

    pub(super) fn error(&mut self, path: &[&str], message: impl Into<String>, hint: &str) {
        self.add(Severity::Error, path, message.into(), hint);
    }

    pub(super) fn warning(&mut self, path: &[&str], message: impl Into<String>, hint: &str) {
        self.add(Severity::Warning, path, message.into(), hint);
    }

    pub(super) fn add(&mut self, severity: Severity, path: &[&str], message: String, hint: &str) {
        let position = self.index.at(path);
        self.add_at(position, severity, path, message, hint);
    }

    pub(super) fn add_at(
        &mut self,
        position: Position,
        severity: Severity,
        path: &[&str],
        message: String,
        hint: &str,
    ) {
        let kept = match severity {
            Severity::Error => &mut self.errors,
            Severity::Warning | Severity::NotActedOn => &mut self.others,
        };
        *kept += 1;
        if *kept > FINDINGS_MAX {
            self.left_out += 1;
            return;
        }
        let (node, field) = match path {
            ["nodes", node, field @ ..] => (Some((*node).to_owned()), field),
            field => (None, field),
        };
        self.findings.push(Finding {
            severity,
            file: self.file.clone(),
            line: position.line,
            column: position.column,
            node,
            field: (!field.is_empty()).then(|| field.join(".")),
            message,
            hint: (!hint.is_empty()).then(|| hint.to_owned()),
        });
    }

    /// Would one more error only be counted? Then its place and its hint need not be found.
    pub(super) fn errors_are_full(&self) -> bool {
        self.errors >= FINDINGS_MAX
    }

    /// Counts an error that is not shown because there are too many.
    pub(super) fn leave_out_error(&mut self) {
        self.errors += 1;
        self.left_out += 1;
    }

    /// An error about a word of `field` that is not among the known ones.
    pub(super) fn unknown<'a>(
        &mut self,
        path: &[&str],
        message: String,
        (field, word): (&'static str, &str),
        known: impl IntoIterator<Item = &'a str> + Clone,
    ) {
        if self.errors_are_full() {
            self.leave_out_error();
            return;
        }
        let hint = self.hints.get(field, word, known);
        self.error(path, message, &hint);
    }

    pub(super) fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// What was understood with what is doubtful of it, or only why it does not hold. Nothing comes
    /// with an error in the report.
    pub(super) fn conclude<T>(
        self,
        understood: Option<T>,
    ) -> Result<(T, Vec<Finding>), Vec<Finding>> {
        let holds = !self.has_errors();
        let findings = self.finish();
        match understood {
            Some(understood) if holds => Ok((understood, findings)),
            Some(_) | None => Err(findings),
        }
    }

    /// All findings in the order of the text.
    pub(super) fn finish(mut self) -> Vec<Finding> {
        self.findings.sort_by_key(|f| (f.line, f.column));
        if self.left_out > 0 {
            self.findings.push(Finding {
                severity: if self.errors > 0 {
                    Severity::Error
                } else {
                    Severity::Warning
                },
                file: self.file,
                line: 0,
                column: 0,
                node: None,
                field: None,
                message: format!("{} more findings are not shown", self.left_out),
                hint: None,
            });
        }
        self.findings
    }
}
