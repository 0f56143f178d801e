//! Tables without lines: as wide as what stands in them, and as the terminal where there is one.

use comfy_table::{ContentArrangement, Row, Table, presets};

use super::terminal;

/// Rows below a header.
pub(super) fn headed<const COLUMNS: usize>(
    header: [&str; COLUMNS],
    rows: impl IntoIterator<Item = [String; COLUMNS]>,
) -> String {
    let mut table = plain(rows);
    table.set_header(header);
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

fn lines(table: &mut Table, indent: u16) -> String {
    if let Some(width) = terminal::columns() {
        let width = width.saturating_sub(indent);
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let margin = " ".repeat(usize::from(indent));
    table.lines().map(|line| format!("{margin}{}", line.trim_end()).trim_end().to_owned() + "\n").collect()
}
