//! Tables without lines: as wide as what stands in them, and as the terminal where there is one.

use comfy_table::{ColumnConstraint, ContentArrangement, Row, Table, Width, presets};

use super::talk::width;
use super::terminal;

/// What stands between two columns.
const GAP: u16 = 2;

/// How many columns are shown however narrow the terminal is.
const LEAST: usize = 2;

/// Rows below a header.
pub(super) fn headed<const COLUMNS: usize>(
    header: [&str; COLUMNS],
    rows: impl IntoIterator<Item = [String; COLUMNS]>,
) -> String {
    let mut table = plain(rows);
    table.set_header(header);
    if let Some(columns) = terminal::columns() {
        keep_words(&mut table, columns);
    }
    lines(&mut table, 0)
}

/// What each row's first cell calls the second, `indent` columns in.
pub(super) fn labelled(rows: impl IntoIterator<Item = [String; 2]>, indent: u16) -> String {
    lines(&mut plain(rows), indent)
}

fn plain<R: Into<Row>>(rows: impl IntoIterator<Item = R>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    for row in rows {
        table.add_row(row);
    }
    table
}

/// Has columns give room to others only where they have several words: half a name is none. Where that is not
/// enough, the last ones are left out.
fn keep_words(table: &mut Table, columns: u16) {
    let room = |column| {
        let cells = table.column_cells_with_header_iter(column).flatten();
        let words = cells.flat_map(|cell| cell.content().split(' ').map(width).collect::<Vec<_>>());
        u16::try_from(words.max().unwrap_or_default()).unwrap_or(u16::MAX).saturating_add(GAP)
    };
    let rooms: Vec<u16> = (0..table.column_iter().count()).map(room).collect();
    let needed = |count: &usize| rooms.iter().take(*count).map(|room| usize::from(*room)).sum::<usize>();
    let shown = (LEAST..=rooms.len()).rev().find(|count| needed(count) <= columns.into()).unwrap_or(LEAST);
    let constraints = rooms.iter().enumerate().map(|(column, room)| match column < shown {
        true => ColumnConstraint::LowerBoundary(Width::Fixed(*room)),
        false => ColumnConstraint::Hidden,
    });
    table.set_constraints(constraints);
}

fn lines(table: &mut Table, indent: u16) -> String {
    if let Some(width) = terminal::columns() {
        let width = width.saturating_sub(indent);
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, GAP));
    }
    let margin = " ".repeat(usize::from(indent));
    table.lines().map(|line| format!("{margin}{}", line.trim_end()).trim_end().to_owned() + "\n").collect()
}
