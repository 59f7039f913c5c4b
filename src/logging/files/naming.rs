//! Names of rotated files, as Zeek makes them, in UTC.

use crate::data::Timestamp;
use date::{DateForm, format_date, parse_date};

mod date;

/// Which of Zeek's forms a name has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// `conn.2023-11-14-22-13-20.log`: with Zeek's own post-processor for text files.
    #[default]
    Dotted,
    /// `conn-23-11-14_22.13.20.log`: with another post-processor.
    Dashed,
    /// `conn__2023-11-14-22-13-20__2023-11-14-23-00-00__log_suffix=logger-1__.log`: what a supervised
    /// logger leaves for the archiver. Without metadata, the part for it is left out with its marks.
    Archiver,
}

/// How rotated files are named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naming {
    /// The form.
    pub form: Form,
    /// Where they go, relative to the logger's directory, or `None` for there: Zeek's `log-queue`.
    pub directory: Option<String>,
    /// What the archiver form tells besides. Entries with a key or value that [`metadata_fits`] refuses
    /// are left out.
    pub metadata: Vec<(String, String)>,
    /// The extension, without its full stop.
    pub extension: String,
}

/// What a rotated file's name says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// The path.
    pub path: String,
    /// When the file was opened, in whole seconds.
    pub opened: Timestamp,
    /// When it was closed, in whole seconds, if the form tells.
    pub closed: Option<Timestamp>,
    /// What else is told.
    pub metadata: Vec<(String, String)>,
}

/// The key that tells files of one second apart.
const ATTEMPT: &str = "n";

impl Default for Naming {
    fn default() -> Self {
        Self {
            form: Form::default(),
            directory: None,
            metadata: Vec::new(),
            extension: "log".to_owned(),
        }
    }
}

impl Naming {
    /// A supervised logger's, with the logger's name if the layout has several loggers.
    #[must_use]
    pub fn supervised(logger: Option<&str>) -> Self {
        let suffix = logger.map(|name| ("log_suffix".to_owned(), name.to_owned()));
        Self {
            form: Form::Archiver,
            directory: Some("log-queue".to_owned()),
            metadata: suffix.into_iter().collect(),
            ..Self::default()
        }
    }

    /// The name of a file, with the directory unless `in_place`. `attempt` counts the names that were
    /// taken; each gives another name.
    #[must_use]
    pub fn name(
        &self,
        path: &str,
        opened: Timestamp,
        closed: Timestamp,
        attempt: u32,
        in_place: bool,
    ) -> String {
        let number = |mark: &str| match attempt {
            0 => String::new(),
            attempt => format!("{mark}{attempt}"),
        };
        let stem = match self.form {
            Form::Dotted => format!(
                "{path}.{}{}",
                format_date(opened, DateForm::Full),
                number("-")
            ),
            Form::Dashed => format!(
                "{path}-{}{}",
                format_date(opened, DateForm::Short),
                number("-")
            ),
            Form::Archiver => {
                let dates = [opened, closed].map(|time| format_date(time, DateForm::Full));
                let [opened, closed] = dates;
                format!("{path}__{opened}__{closed}__{}", self.told(attempt))
            }
        };
        let extension = &self.extension;
        match self.directory.as_deref().filter(|_| !in_place) {
            Some(directory) => format!("{directory}/{stem}.{extension}"),
            None => format!("{stem}.{extension}"),
        }
    }

    fn told(&self, attempt: u32) -> String {
        let pairs = self.metadata.iter();
        let mut told: Vec<String> = pairs
            .filter(|(key, value)| metadata_fits(key, value))
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        if attempt > 0 {
            told.push(format!("{ATTEMPT}={attempt}"));
        }
        if told.is_empty() {
            return String::new();
        }
        format!("{}__", told.join(","))
    }

    /// Reads a name without its directory; `None` if it is not of this form.
    #[must_use]
    pub fn parse(&self, name: &str) -> Option<Rotated> {
        let stem = name.strip_suffix(&self.extension)?.strip_suffix('.')?;
        match self.form {
            Form::Dotted => dated(stem, '.', DateForm::Full),
            Form::Dashed => dated(stem, '-', DateForm::Short),
            Form::Archiver => archived(stem),
        }
    }
}

/// A point in time as commands for rotated files are told it: `23-11-14_22.13.20`, in UTC.
#[must_use]
pub fn short_date(time: Timestamp) -> String {
    format_date(time, DateForm::Short)
}

/// Whether a pair can stand in a name: with a value, and without the marks that separate pairs and
/// parts.
#[must_use]
pub fn metadata_fits(key: &str, value: &str) -> bool {
    let fits =
        |text: &str| !text.is_empty() && !text.contains([',', '=', '/']) && !text.contains("__");
    fits(key) && fits(value)
}

fn dated(stem: &str, mark: char, date: DateForm) -> Option<Rotated> {
    let at = stem.len().checked_sub(date.bytes());
    let plain = at.and_then(|at| split_dated(stem, at, mark, date));
    plain.or_else(|| {
        let (stem, number) = stem.rsplit_once('-')?;
        number.parse::<u32>().ok()?;
        let at = stem.len().checked_sub(date.bytes())?;
        split_dated(stem, at, mark, date)
    })
}

fn split_dated(stem: &str, at: usize, mark: char, date: DateForm) -> Option<Rotated> {
    let (path, opened) = stem.split_at_checked(at)?;
    let path = path.strip_suffix(mark).filter(|path| !path.is_empty())?;
    Some(Rotated {
        path: path.to_owned(),
        opened: parse_date(opened, date)?,
        closed: None,
        metadata: Vec::new(),
    })
}

fn archived(stem: &str) -> Option<Rotated> {
    let stem = stem.strip_suffix("__")?;
    let with_dates = |stem: &str, metadata: Vec<(String, String)>| {
        let (rest, closed) = stem.rsplit_once("__")?;
        let (path, opened) = rest.rsplit_once("__")?;
        let opened = parse_date(opened, DateForm::Full)?;
        let closed = parse_date(closed, DateForm::Full)?;
        (!path.is_empty()).then(|| Rotated {
            path: path.to_owned(),
            opened,
            closed: Some(closed),
            metadata,
        })
    };
    with_dates(stem, Vec::new()).or_else(|| {
        let (rest, pairs) = stem.rsplit_once("__")?;
        let pairs = pairs.split(',').map(|pair| {
            let (key, value) = pair.split_once('=')?;
            Some((key.to_owned(), value.to_owned()))
        });
        with_dates(rest, pairs.collect::<Option<Vec<_>>>()?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logging::LOG_PATH_BYTES_MAX;
    use crate::logging::files::index::INDEX_SUFFIX;
    use crate::names::NAME_BYTES_MAX;
    use proptest::prelude::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn names_have_zeeks_forms() {
        let (opened, closed) = (at(1_700_000_000), at(1_700_002_800));
        let name = |naming: &Naming, attempt| naming.name("conn", opened, closed, attempt, true);
        let dotted = Naming::default();
        assert_eq!(name(&dotted, 0), "conn.2023-11-14-22-13-20.log");
        assert_eq!(name(&dotted, 2), "conn.2023-11-14-22-13-20-2.log");
        let dashed = Naming {
            form: Form::Dashed,
            ..Naming::default()
        };
        assert_eq!(name(&dashed, 0), "conn-23-11-14_22.13.20.log");
        let alone = Naming::supervised(None);
        let dates = "conn__2023-11-14-22-13-20__2023-11-14-23-00-00__";
        assert_eq!(name(&alone, 0), format!("{dates}.log"));
        assert_eq!(name(&alone, 1), format!("{dates}n=1__.log"));
        let second = Naming::supervised(Some("logger-2"));
        assert_eq!(
            name(&second, 0),
            format!("{dates}log_suffix=logger-2__.log")
        );
        assert_eq!(
            second.name("conn", opened, closed, 0, false),
            format!("log-queue/{dates}log_suffix=logger-2__.log")
        );
    }

    #[test]
    fn the_longest_name_and_its_index_fit_a_file_system() {
        let path = "x".repeat(LOG_PATH_BYTES_MAX);
        let naming = Naming::supervised(Some(&"x".repeat(NAME_BYTES_MAX)));
        let name = naming.name(&path, at(0), at(0), u32::MAX, true);
        assert!(name.len() + INDEX_SUFFIX.len() <= 255, "{name}");
    }

    #[test]
    fn metadata_that_would_break_a_name_is_left_out() {
        let naming = Naming {
            metadata: [("a", "1"), ("b", ""), ("c=", "2"), ("d", "3,4"), ("e", "5")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .to_vec(),
            ..Naming::supervised(None)
        };
        let name = naming.name("x", at(0), at(0), 0, true);
        assert!(name.ends_with("__a=1,e=5__.log"), "{name}");
    }

    #[test]
    fn what_is_no_rotated_name_is_not_read() {
        for form in [Form::Dotted, Form::Dashed, Form::Archiver] {
            let naming = Naming {
                form,
                ..Naming::default()
            };
            for name in [
                "",
                ".log",
                "conn.log",
                "conn__.log",
                "__.log",
                "conn.x",
                "é.log",
            ] {
                assert_eq!(naming.parse(name), None, "{name}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_name_is_read_as_it_was_made(
            path in "[a-z_.0-9-]{1,20}", opened in 0_i64..4_000_000_000, span in 0_i64..100_000,
            attempt in 0_u32..3, form in 0..3, suffix in proptest::option::of("[a-z0-9-]{1,9}"),
        ) {
            let form = [Form::Dotted, Form::Dashed, Form::Archiver][usize::try_from(form).unwrap()];
            let naming = Naming { form, ..Naming::supervised(suffix.as_deref()) };
            // The short form has the years 1969 to 2068, as `strptime` reads them.
            let opened = if form == Form::Dashed { opened % 3_000_000_000 } else { opened };
            let name = naming.name(&path, at(opened), at(opened + span), attempt, true);
            let read = naming.parse(&name).unwrap();
            prop_assert_eq!(read.path, path);
            prop_assert_eq!(read.opened, at(opened));
            prop_assert_eq!(read.closed, (form == Form::Archiver).then(|| at(opened + span)));
        }

        #[test]
        fn any_text_can_be_looked_at(name: String) {
            for form in [Form::Dotted, Form::Dashed, Form::Archiver] {
                let naming = Naming { form, extension: String::new(), ..Naming::default() };
                let _ = naming.parse(&name);
            }
        }
    }
}
