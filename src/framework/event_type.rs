//! What events are declared as: a name, and of which type each argument is; and what fits that.

use std::borrow::Cow;
use std::fmt;

use crate::data::message::Event;
use crate::data::{DEPTH_MAX, Items, Kind, Set, Table, Value};

/// The type of an event's argument, by the name it has in Zeek's scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Param {
    /// `any`: every value.
    Any,
    /// `bool`
    Bool,
    /// `count`
    Count,
    /// `int`
    Int,
    /// `double`
    Double,
    /// `string`
    String,
    /// `addr`
    Addr,
    /// `subnet`
    Subnet,
    /// `port`
    Port,
    /// `time`
    Time,
    /// `interval`
    Interval,
    /// `enum`
    Enum,
    /// `set`
    Set,
    /// `table`
    Table,
    /// `vector`: every element is there.
    Vector,
    /// `record`: its fields in order, those that are unset as [`Value::None`].
    Record,
}

/// Why values are no event. The caller's fault. What the seeds' `Cluster::make_event` and
/// `Cluster::publish` report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// The event has no name: what an earlier refusal left.
    #[error("the event has no name; it was refused when it was made")]
    Unset,
    /// Too many arguments, or too few.
    #[error("\"{event}\" takes {expected} arguments, and got {got}")]
    Count {
        /// Which event.
        event: String,
        /// So many were given.
        got: usize,
        /// So many are declared.
        expected: usize,
    },
    /// An argument is of another type.
    #[error("argument {index} of \"{event}\" is to be of type {expected}, and got {got}")]
    Type {
        /// Which event.
        event: String,
        /// Which argument; the first is 1.
        index: usize,
        /// What was given.
        got: Kind,
        /// What is declared.
        expected: Param,
    },
    /// An element of a vector is unset, which nobody can read.
    #[error("argument {index} of \"{event}\" is a vector with holes; give every element a value")]
    Holes {
        /// Which event.
        event: String,
        /// Which argument; the first is 1.
        index: usize,
    },
    /// No reader takes containers so deep in one another.
    #[error(
        "argument {index} of \"{event}\" has containers deeper than {DEPTH_MAX} in one another"
    )]
    TooDeep {
        /// Which event.
        event: String,
        /// Which argument; the first is 1.
        index: usize,
    },
}

/// An event's declaration. Nodes that exchange an event declare it alike. Stands for `event` in the seeds'
/// scripts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EventType {
    name: Cow<'static, str>,
    params: Cow<'static, [Param]>,
}

impl EventType {
    /// A declaration in a program's text. `name`: with its module's, as in `Cluster::hello`.
    #[must_use]
    pub const fn new(name: &'static str, params: &'static [Param]) -> Self {
        Self {
            name: Cow::Borrowed(name),
            params: Cow::Borrowed(params),
        }
    }

    /// A declaration that is made while the program runs.
    #[must_use]
    pub const fn of(name: String, params: Vec<Param>) -> Self {
        Self {
            name: Cow::Owned(name),
            params: Cow::Owned(params),
        }
    }

    /// Its name, with its module's.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The types of its arguments.
    #[must_use]
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// `Cluster::make_event`: the event with these arguments. An empty set or table becomes what is
    /// declared of the two.
    ///
    /// # Errors
    /// [`EventError`] says which argument does not fit.
    pub fn event(&self, mut args: Vec<Value>) -> Result<Event, EventError> {
        for (arg, param) in args.iter_mut().zip(self.params()) {
            param.adopt(arg);
        }
        self.check(&args)?;
        Ok(Event::new(self.name(), args))
    }

    /// Finds whether these arguments are what is declared, and can be read at the other end.
    ///
    /// # Errors
    /// [`EventError`] says which argument does not fit.
    pub fn check(&self, args: &[Value]) -> Result<(), EventError> {
        self.check_count(args.len())?;
        for (index, (arg, param)) in (1..).zip(args.iter().zip(self.params())) {
            self.check_arg(index, *param, arg.kind(), || has_holes(arg))?;
        }
        check_depth(self.name(), args)
    }

    /// Finds whether the arguments of an event that came are what is declared.
    ///
    /// # Errors
    /// [`EventError`] says which argument does not fit.
    pub fn check_view(&self, args: Items<'_>) -> Result<(), EventError> {
        self.check_count(args.len())?;
        for (index, (arg, param)) in (1..).zip(args.zip(self.params())) {
            let has_holes = || {
                let mut elements = arg.as_vector().into_iter().flatten();
                elements.any(|element| element.kind() == Kind::None)
            };
            self.check_arg(index, *param, arg.kind(), has_holes)?;
        }
        Ok(())
    }

    fn check_count(&self, got: usize) -> Result<(), EventError> {
        let expected = self.params.len();
        if got == expected {
            return Ok(());
        }
        Err(EventError::Count {
            event: self.name().to_owned(),
            got,
            expected,
        })
    }

    fn check_arg(
        &self,
        index: usize,
        param: Param,
        got: Kind,
        has_holes: impl FnOnce() -> bool,
    ) -> Result<(), EventError> {
        let event = || self.name().to_owned();
        if param.kind().is_some_and(|kind| kind != got) {
            return Err(EventError::Type {
                event: event(),
                index,
                got,
                expected: param,
            });
        }
        if param == Param::Vector && has_holes() {
            let event = event();
            return Err(EventError::Holes { event, index });
        }
        Ok(())
    }
}

/// Finds whether the arguments of an event that nobody has declared can be read at the other end.
///
/// # Errors
/// [`EventError::TooDeep`] says which cannot.
pub fn check_depth(event: &str, args: &[Value]) -> Result<(), EventError> {
    // Message, content and arguments are vectors around it.
    match args.iter().position(|arg| !fits(arg, DEPTH_MAX - 3)) {
        Some(position) => Err(EventError::TooDeep {
            event: event.to_owned(),
            index: position + 1,
        }),
        None => Ok(()),
    }
}

impl Param {
    /// The kind of its values; `None`: all.
    #[must_use]
    pub fn kind(self) -> Option<Kind> {
        Some(match self {
            Self::Any => return None,
            Self::Bool => Kind::Boolean,
            Self::Count => Kind::Count,
            Self::Int => Kind::Integer,
            Self::Double => Kind::Real,
            Self::String => Kind::String,
            Self::Addr => Kind::Address,
            Self::Subnet => Kind::Subnet,
            Self::Port => Kind::Port,
            Self::Time => Kind::Timestamp,
            Self::Interval => Kind::Timespan,
            Self::Enum => Kind::EnumValue,
            Self::Set => Kind::Set,
            Self::Table => Kind::Table,
            Self::Vector | Self::Record => Kind::Vector,
        })
    }

    /// An empty set or table says not what it is one of.
    fn adopt(self, value: &mut Value) {
        match (self, &*value) {
            (Self::Set, Value::Table(table)) if table.is_empty() => {
                *value = Value::Set(Set::default());
            }
            (Self::Table, Value::Set(set)) if set.is_empty() => {
                *value = Value::Table(Table::default());
            }
            _ => {}
        }
    }
}

impl fmt::Display for Param {
    /// As scripts call it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "any",
            Self::Bool => "bool",
            Self::Count => "count",
            Self::Int => "int",
            Self::Double => "double",
            Self::String => "string",
            Self::Addr => "addr",
            Self::Subnet => "subnet",
            Self::Port => "port",
            Self::Time => "time",
            Self::Interval => "interval",
            Self::Enum => "enum",
            Self::Set => "set",
            Self::Table => "table",
            Self::Vector => "vector",
            Self::Record => "record",
        })
    }
}

fn has_holes(value: &Value) -> bool {
    let mut elements = value.as_vector().into_iter().flatten();
    elements.any(Value::is_none)
}

/// Are its containers no deeper in one another than that? Goes no deeper itself.
fn fits(value: &Value, depth: usize) -> bool {
    let inside = |member: &Value| depth > 0 && fits(member, depth - 1);
    match value {
        Value::Vector(items) => items.iter().all(inside),
        Value::Set(set) => set.iter().all(inside),
        Value::Table(table) => table
            .iter()
            .all(|(key, value)| inside(key) && inside(value)),
        Value::None
        | Value::Boolean(_)
        | Value::Count(_)
        | Value::Integer(_)
        | Value::Real(_)
        | Value::String(_)
        | Value::Address(_)
        | Value::Subnet(_)
        | Value::Port(_)
        | Value::Timestamp(_)
        | Value::Timespan(_)
        | Value::EnumValue(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READING: EventType = EventType::new("Sensor::reading", &[Param::String, Param::Double]);

    #[test]
    fn what_fits_its_declaration_is_an_event() {
        let event = READING.event(vec!["roof".into(), 21.5.into()]).unwrap();
        assert_eq!(
            event,
            Event::new("Sensor::reading", vec!["roof".into(), 21.5.into()])
        );
    }

    #[test]
    fn a_refusal_names_the_argument_and_both_types() {
        let event = READING.name().to_owned();
        let refused = READING
            .event(vec!["roof".into(), 21_u64.into()])
            .unwrap_err();
        assert_eq!(
            refused.to_string(),
            "argument 2 of \"Sensor::reading\" is to be of type double, and got count"
        );
        for count in [0, 1, 3] {
            let refused = READING.event(vec![Value::from("x"); count]).unwrap_err();
            let (event, got) = (event.clone(), count);
            let expected = 2;
            assert_eq!(
                refused,
                EventError::Count {
                    event,
                    got,
                    expected
                }
            );
        }
    }

    #[test]
    fn an_empty_set_or_table_becomes_what_is_declared() {
        let declared = EventType::of("e".to_owned(), vec![Param::Set, Param::Table]);
        let (set, table) = (Value::Set(Set::default()), Value::Table(Table::default()));
        let event = declared.event(vec![table.clone(), set.clone()]).unwrap();
        assert_eq!(event.args, [set, table]);
    }

    #[test]
    fn a_vector_has_no_holes_and_a_record_may() {
        let holes = Value::Vector(vec![1_u64.into(), Value::None]);
        let of = |param| EventType::of("e".to_owned(), vec![param]);
        let refused = of(Param::Vector).event(vec![holes.clone()]);
        let event = "e".to_owned();
        assert_eq!(refused, Err(EventError::Holes { event, index: 1 }));
        assert!(of(Param::Record).event(vec![holes.clone()]).is_ok());
        assert!(of(Param::Any).event(vec![holes]).is_ok());
    }

    /// Shows: what comes is looked at as what goes is, but for an empty set or table, which says what it
    /// is.
    #[test]
    fn what_comes_is_checked_as_what_goes() {
        let declared = EventType::new("e", &[Param::Vector, Param::Set, Param::Any]);
        let (set, table) = (Value::Set(Set::default()), Value::Table(Table::default()));
        let whole = Value::Vector(vec![1_u64.into()]);
        let holes = Value::Vector(vec![1_u64.into(), Value::None]);
        for args in [
            vec![whole.clone(), set.clone(), holes.clone()],
            vec![holes.clone(), set.clone(), whole.clone()],
            vec![set.clone(), set, whole.clone()],
            vec![whole.clone(), table, Value::None],
            vec![whole],
            Vec::new(),
        ] {
            let mut bytes = Vec::new();
            Event::new("e", args.clone()).encode(&mut bytes);
            let view = crate::data::message::EventView::parse(&bytes).unwrap();
            let came = declared.check_view(view.args());
            assert_eq!(came, declared.check(&args), "{args:?}");
            assert_eq!(came.is_ok(), args.get(2) == Some(&holes), "{args:?}");
        }
    }

    /// Shows: what passes can be read at the other end, and one step deeper can not.
    #[test]
    fn what_is_too_deep_for_readers_is_refused() {
        let nested = |depth| (0..depth).fold(Value::from(1_u64), |v, _| Value::Vector(vec![v]));
        let any = EventType::new("e", &[Param::Any]);
        let read = |event: &Event| {
            let mut bytes = Vec::new();
            event.encode(&mut bytes);
            crate::data::message::EventView::parse(&bytes).is_ok()
        };
        let deepest = (1..=DEPTH_MAX)
            .filter(|d| any.event(vec![nested(*d)]).is_ok())
            .max();
        let deepest = deepest.unwrap();
        assert!(read(&any.event(vec![nested(deepest)]).unwrap()));
        let event = Event::new("e", vec![nested(deepest + 1)]);
        assert!(!read(&event), "one deeper is read all the same");
        let refused = any.event(event.args);
        assert!(matches!(refused, Err(EventError::TooDeep { index: 1, .. })));
    }
}
