//! Columns that line up.

use crate::client::out::{Paint, Tone};

/// Between two columns.
const GAP: &str = "  ";

/// Where a column's texts stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// One field.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A field without colour.
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self::toned(text, Tone::Plain)
    }

    /// A field with colour.
    pub(crate) fn toned(text: impl Into<String>, tone: Tone) -> Self {
        Self {
            text: text.into(),
            tone,
        }
    }
}

/// A row, and what is said about it on the lines below.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    /// Its fields.
    pub(crate) cells: Vec<Cell>,
    /// Lines below, indented.
    pub(crate) notes: Vec<String>,
}

/// Lines the columns up; trailing blanks are left out.
pub(crate) fn text(columns: &[(&str, Align)], rows: &[Row], paint: Paint) -> String {
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(index, (title, _))| {
            let cells = rows.iter().filter_map(|row| row.cells.get(index));
            let widest = cells.map(|cell| cell.text.chars().count()).max();
            widest.unwrap_or(0).max(title.chars().count())
        })
        .collect();
    let mut text = String::new();
    if columns.iter().any(|(title, _)| !title.is_empty()) {
        let head: Vec<Cell> = columns
            .iter()
            .map(|(title, _)| Cell::toned(*title, Tone::Strong))
            .collect();
        push_line(&mut text, &head, columns, &widths, paint);
    }
    for row in rows {
        push_line(&mut text, &row.cells, columns, &widths, paint);
        for note in &row.notes {
            text.push_str("    ");
            text.push_str(&paint.tone(Tone::Faint, note));
            text.push('\n');
        }
    }
    text
}

fn push_line(
    text: &mut String,
    cells: &[Cell],
    columns: &[(&str, Align)],
    widths: &[usize],
    paint: Paint,
) {
    let mut line = String::new();
    let mut owed = String::new();
    for ((cell, (_, align)), width) in cells.iter().zip(columns).zip(widths) {
        let padding = " ".repeat(width.saturating_sub(cell.text.chars().count()));
        if *align == Align::Right {
            owed.push_str(&padding);
        }
        if !cell.text.is_empty() {
            line.push_str(&owed);
            line.push_str(&paint.tone(cell.tone, &cell.text));
            owed.clear();
        }
        if *align == Align::Left {
            owed.push_str(&padding);
        }
        owed.push_str(GAP);
    }
    text.push_str(&line);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_do_not_move_the_columns() {
        let row = |name: &str, tone, count: &str| Row {
            cells: vec![Cell::toned(name, tone), Cell::plain(count), Cell::plain("")],
            notes: vec![],
        };
        let columns = [
            ("NAME", Align::Left),
            ("N", Align::Right),
            ("", Align::Left),
        ];
        let rows = [row("a", Tone::Good, "1"), row("longer", Tone::Bad, "200")];
        assert_eq!(
            text(&columns, &rows, Paint(false)),
            "NAME      N\na         1\nlonger  200\n"
        );
        assert_eq!(
            text(&columns, &rows, Paint(true)),
            "\x1b[1mNAME\x1b[0m      \x1b[1mN\x1b[0m\n\
             \x1b[32ma\x1b[0m         1\n\
             \x1b[31mlonger\x1b[0m  200\n"
        );
    }
}
