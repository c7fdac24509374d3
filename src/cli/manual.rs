//! The manual: man pages, completions and the README's table of commands, made from the declarations.

use std::path::PathBuf;

use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, roman};

use super::{PAGES, Page};
use crate::environment::{self, UsedBy};
use crate::error::{Kind, OrFail, Result};
use crate::schema;

/// A file of the repository that is made from the code.
#[derive(Debug)]
pub struct Made {
    /// Where, from the repository's root.
    pub path: PathBuf,
    /// What it holds.
    pub text: String,
}

/// Every such file, README.md's table excepted.
pub fn files() -> Result<Vec<Made>> {
    let mut made = Vec::new();
    for page in PAGES {
        made.push(Made { path: format!("man/{}.1", page.name).into(), text: man_page(page)? });
        for (shell, name) in [
            (Shell::Bash, format!("completions/{}.bash", page.name)),
            (Shell::Zsh, format!("completions/_{}", page.name)),
            (Shell::Fish, format!("completions/{}.fish", page.name)),
        ] {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut (page.arguments)(), page.name, &mut text);
            let text = String::from_utf8(text).or_fail(Kind::Internal, || "a completion is not UTF-8")?;
            made.push(Made { path: name.into(), text: text.trim_end().to_owned() + "\n" });
        }
    }
    made.push(Made { path: "schemas/record.schema.json".into(), text: schema::record() });
    made.push(Made { path: "schemas/orchestrator-config.schema.json".into(), text: schema::config() });
    Ok(made)
}

/// The README's table of commands, in Markdown.
pub fn command_table() -> String {
    let rows = PAGES.iter().filter(|page| page.name != "cq").map(|page| {
        format!(
            "| [`{0}`](man/{0}.1) | {1} | {2} | {3} |\n",
            page.name,
            page.about(),
            page.reads,
            page.writes
        )
    });
    let head = "| command | does | reads | writes to stdout |\n|---|---|---|---|\n";
    head.to_owned() + &rows.collect::<String>()
}

/// The date on the pages: that of the release.
const RELEASED: &str = "2026-11-22";

/// Files that the pages of all commands name.
const FILES: [(&str, &str); 7] = [
    (
        "orchestrator-config.json",
        "the configuration; its JSON Schema is schemas/orchestrator-config.schema.json",
    ),
    (".cq/records/123.json", "one file per issue in flight: the truth"),
    (".cq/events.jsonl", "every change of status and every write to GitHub, one JSON object a line"),
    (".cq/stop, .cq/limit.json", "the stop in force, and the moment before which no agent is started"),
    (".cq/spending/", "what agents cost, and what those that run may cost, one file a day (UTC)"),
    ("workspaces/claude-instance-N/", "an instance's worktree, .env, prompt.md and claude.log"),
    ("logs/claude-instance-N/", "raw output, the logs of checks, and the supervisor's own words"),
];

fn man_page(page: &Page) -> Result<String> {
    let command = (page.arguments)();
    let man = Man::new(command.clone()).manual("cq manual").date(RELEASED);
    let mut text = Vec::new();
    let failed = || format!("cannot write the page of {}", page.name);
    man.render_title(&mut text).or_fail(Kind::Internal, failed)?;
    man.render_name_section(&mut text).or_fail(Kind::Internal, failed)?;
    man.render_synopsis_section(&mut text).or_fail(Kind::Internal, failed)?;
    man.render_description_section(&mut text).or_fail(Kind::Internal, failed)?;
    man.render_options_section(&mut text).or_fail(Kind::Internal, failed)?;
    for subcommand in command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help") {
        let mut heading = Roff::new();
        heading.control("SH", [format!("{} {}", page.name, subcommand.get_name()).as_str()]);
        heading.text([roman(subcommand.get_about().map(ToString::to_string).unwrap_or_default())]);
        heading.to_writer(&mut text).or_fail(Kind::Internal, failed)?;
        let mut options = Vec::new();
        Man::new(subcommand.clone()).render_options_section(&mut options).or_fail(Kind::Internal, failed)?;
        // The options belong to the section above, not to one of their own.
        let options = String::from_utf8_lossy(&options).replace(".SH OPTIONS\n", "");
        text.extend_from_slice(options.as_bytes());
        let more = subcommand.get_after_long_help().map(ToString::to_string).unwrap_or_default();
        as_page(&more).to_writer(&mut text).or_fail(Kind::Internal, failed)?;
    }
    sections(page).to_writer(&mut text).or_fail(Kind::Internal, failed)?;
    let text = String::from_utf8(text).or_fail(Kind::Internal, || "a man page is not UTF-8")?;
    // The preamble of each part is only needed once; a page is one document.
    let preamble = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";
    // Two breaks around an empty line: mandoc warns of them, and a blank line is what is meant.
    let body = text.replace(preamble, "").replace(".br\n\n.br\n", ".sp\n");
    Ok(preamble.to_owned() + &body)
}

/// A text of the help as a part of a page: a line that ends with a colon is a heading, and what is indented stays as it
/// is.
fn as_page(text: &str) -> Roff {
    let mut roff = Roff::new();
    let mut follows_heading = false;
    for block in text.split("\n\n").filter(|block| !block.trim().is_empty()) {
        let is_verbatim = block.starts_with(' ');
        if let Some(heading) = block.strip_suffix(':').filter(|one| !is_verbatim && !one.contains('\n')) {
            roff.control("SS", [heading]);
            follows_heading = true;
            continue;
        }
        // A heading begins a paragraph by itself.
        if !std::mem::take(&mut follows_heading) {
            roff.control("PP", []);
        }
        if is_verbatim {
            roff.control("nf", []);
            block.lines().for_each(|line| _ = roff.text([roman(line)]));
            roff.control("fi", []);
        } else {
            roff.text([roman(block)]);
        }
    }
    roff
}

/// What every page ends with.
fn sections(page: &Page) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["DATA"]);
    roff.text([roman(format!("Reads {}. Writes to stdout: {}.", page.reads, page.writes))]);

    roff.control("SH", ["EXIT STATUS"]);
    item(&mut roff, "0", "done; nothing to do is done");
    for (kind, about) in Kind::ALL {
        item(&mut roff, &kind.status().to_string(), about);
    }
    item(&mut roff, "128 + n", "ended by signal n");

    roff.control("SH", ["ENVIRONMENT"]);
    let matters = |used: UsedBy| used == UsedBy::Everything || page.variables.contains(&used);
    for variable in environment::ALL.iter().filter(|variable| matters(variable.used_by)) {
        item(&mut roff, variable.name, variable.about);
    }

    roff.control("SH", ["FILES"]);
    for (name, about) in FILES {
        item(&mut roff, name, about);
    }

    roff.control("SH", ["EXAMPLES"]);
    for (line, about) in page.examples {
        roff.control("TP", []);
        roff.text([bold(*line)]);
        roff.text([roman(*about)]);
    }

    roff.control("SH", ["SEE ALSO"]);
    let others: Vec<String> = PAGES
        .iter()
        .filter(|other| other.name != page.name)
        .map(|other| format!("{}(1)", other.name))
        .collect();
    roff.text([roman(others.join(", "))]);
    roff
}

fn item(roff: &mut Roff, name: &str, about: &str) {
    roff.control("TP", []);
    roff.text([italic(name)]);
    roff.text([roman(about)]);
}
