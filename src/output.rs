//! The only place that writes stdout and stderr.
//!
//! stdout is data: a table on a terminal, JSON Lines in a pipe, each line flushed as it comes. stderr is for
//! people. A reader that goes away ends the command quietly.

use std::fs::File;
use std::io::{ErrorKind, IsTerminal, Write};

use comfy_table::{Attribute, Cell, ContentArrangement, Table, presets};
use serde::Serialize;
use serde_json::Value;

use crate::error::{Error, Kind, OrFail, Result};
use crate::sanitize;

mod spreadsheet;

/// How stdout is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Table,
    /// One JSON object a line, as soon as it is known.
    Jsonl,
    /// One JSON array, at the end.
    Json,
    /// The table's columns as comma-separated values, each line as soon as it is known.
    Csv,
}

impl Format {
    /// A table on a terminal, JSON Lines elsewhere.
    pub fn suited_to_stdout() -> Self {
        if stdout_is_terminal() { Self::Table } else { Self::Jsonl }
    }
}

/// Whether a person sees stdout.
pub fn stdout_is_terminal() -> bool {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    std::io::stdout().is_terminal()
}

/// Whether a person sees stderr.
pub fn stderr_is_terminal() -> bool {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    std::io::stderr().is_terminal()
}

/// stdout, for a rehearsed agent that writes what it likes.
#[derive(Debug)]
pub struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        #[expect(clippy::disallowed_methods, reason = "this is the one place")]
        std::io::stdout().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        #[expect(clippy::disallowed_methods, reason = "this is the one place")]
        std::io::stdout().flush()
    }
}

/// stderr once more, for a program whose words go where ours go.
pub fn stderr_handle() -> Result<File> {
    use std::os::fd::AsFd;
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    let handle = std::io::stderr().as_fd().try_clone_to_owned();
    handle.map(File::from).or_fail(Kind::Internal, || "cannot pass on stderr")
}

/// Writes text to stdout as it is.
pub fn print(text: &str) -> Result<()> {
    print_bytes(text.as_bytes())
}

/// Writes bytes to stdout as they are.
pub fn print_bytes(bytes: &[u8]) -> Result<()> {
    let mut stdout = Stdout;
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {
            Err(Error::because(Kind::ClosedPipe, error, "nobody reads stdout"))
        }
        Err(error) => Err(error).or_fail(Kind::CannotWrite, || "cannot write to stdout"),
    }
}

/// Writes a line to stderr, made safe for a terminal, and in one piece: the commands of a pipeline share it. Nothing can
/// be done about a failure.
pub fn say(line: &str) {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    let mut stderr = std::io::stderr().lock();
    let line = format!("{}\n", sanitize::lines(line));
    let _ = stderr.write_all(line.as_bytes());
}

/// The rows of one command.
#[derive(Debug)]
pub struct Output {
    format: Format,
    colours: bool,
    header: &'static [&'static str],
    rows: Vec<Vec<String>>,
    values: Vec<Value>,
    /// Whether the line of the columns' names was written.
    begun: bool,
}

impl Output {
    /// An output with these columns; `colours` only matters to tables.
    pub fn new(format: Format, colours: bool, header: &'static [&'static str]) -> Self {
        Self { format, colours, header, rows: Vec::new(), values: Vec::new(), begun: false }
    }

    /// One object. `row` is only asked for where a table or its columns are written.
    pub fn item<T: Serialize>(&mut self, item: &T, row: impl FnOnce() -> Vec<String>) -> Result<()> {
        let not_json = || "cannot write the output as JSON";
        match self.format {
            Format::Table => self.rows.push(row()),
            Format::Csv => {
                self.begin_csv()?;
                print(&spreadsheet::line(&row())?)?;
            }
            Format::Json => self.values.push(serde_json::to_value(item).or_fail(Kind::Internal, not_json)?),
            Format::Jsonl => {
                let mut line = serde_json::to_string(item).or_fail(Kind::Internal, not_json)?;
                line.push('\n');
                print(&line)?;
            }
        }
        Ok(())
    }

    fn begin_csv(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.begun, true) {
            Ok(())
        } else {
            print(&spreadsheet::line(self.header)?)
        }
    }

    /// Writes what was collected.
    pub fn finish(mut self) -> Result<()> {
        match self.format {
            Format::Jsonl => Ok(()),
            Format::Csv => self.begin_csv(),
            Format::Json => {
                let text = serde_json::to_string_pretty(&self.values)
                    .or_fail(Kind::Internal, || "cannot write the output as JSON")?;
                print(&(text + "\n"))
            }
            Format::Table if self.rows.is_empty() => Ok(()),
            Format::Table => print(&format!("{}\n", table(self.header, self.rows, self.colours))),
        }
    }
}

/// A table without lines: every cell made safe, the header bold where colours are wanted.
pub fn table(header: &[&str], rows: Vec<Vec<String>>, colours: bool) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    if colours {
        table.enforce_styling();
    } else {
        table.force_no_tty();
        table.set_width(terminal_width());
    }
    let head = |name: &&str| {
        let cell = Cell::new(name);
        if colours { cell.add_attribute(Attribute::Bold) } else { cell }
    };
    table.set_header(header.iter().map(head));
    for row in rows {
        table.add_row(row.iter().map(|cell| sanitize::line(cell).into_owned()));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// A bar on a terminal's stderr; none where nobody would see it, or there is nothing to count.
pub fn progress(length: usize, what: &'static str) -> Option<indicatif::ProgressBar> {
    if length == 0 || !stderr_is_terminal() {
        return None;
    }
    let style = indicatif::ProgressStyle::with_template("{spinner} {pos}/{len} {msg} {elapsed}").ok()?;
    let bar = indicatif::ProgressBar::new(length as u64).with_style(style).with_message(what);
    bar.enable_steady_tick(std::time::Duration::from_millis(200));
    Some(bar)
}

/// The terminal's width; wide where there is none.
fn terminal_width() -> u16 {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    let stdout = std::io::stdout();
    rustix::termios::tcgetwinsize(&stdout)
        .map(|size| size.ws_col)
        .ok()
        .filter(|width| *width > 0)
        .unwrap_or(200)
}
