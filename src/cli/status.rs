//! `cfs-host status`: what runs, why it may be trusted, what boots next, what failed.

use std::io::{ErrorKind, IsTerminal, Write};
use std::path::PathBuf;

use clap::ValueEnum;

use super::called_as::CalledAs;
use crate::flow::status::observe;
use crate::ui;

/// Show what runs, what boots next, what failed and why, and who signed it. Needs no root
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// How to print it
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    /// The version of bootc's document
    #[arg(long, value_name = "VERSION", value_parser = ["1"], hide = true)]
    format_version: Option<String>,
    /// Leave out the deployments that do not run
    #[arg(long)]
    booted: bool,
    /// Show more: how long each step of the verified boot took
    #[arg(short, long)]
    verbose: bool,
    /// Look at another root directory
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    root: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    #[value(alias = "humanreadable")]
    Human,
    /// Every field; under the name bootc its document
    #[value(alias = "yaml")]
    Json,
    /// The document that `bootc status --json` prints
    Bootc,
}

/// Always answers: what is missing is a condition.
pub fn run(args: Args, called_as: CalledAs) -> anyhow::Result<()> {
    let mut status = observe(&args.root);
    let text = match args.chosen(called_as, std::io::stdout().is_terminal()) {
        Format::Bootc => ui::json(&ui::bootc::host(&status, args.booted))?,
        format => {
            if args.booted {
                status.deployments.retain(|deployment| deployment.booted);
            }
            match format {
                Format::Json => ui::json(&status)?,
                _ => ui::status::status(&status, args.verbose),
            }
        }
    };
    match std::io::stdout().write_all(text.as_bytes()) {
        // `status | head` has what it wanted.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

impl Args {
    /// bootc prints its document where nobody reads; JSON is YAML too.
    fn chosen(&self, called_as: CalledAs, terminal: bool) -> Format {
        let asked = if self.json { Some(Format::Json) } else { self.format };
        match (called_as, asked) {
            (CalledAs::Bootc, Some(Format::Json)) => Format::Bootc,
            (CalledAs::Bootc, None) if !terminal => Format::Bootc,
            (_, asked) => asked.unwrap_or(Format::Human),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn under_the_name_bootc_programs_get_its_document_and_people_ours() {
        use CalledAs::{Bootc, CfsHost};
        for (line, name, terminal, format) in [
            ("", CfsHost, false, Format::Human),
            ("--json", CfsHost, false, Format::Json),
            ("--format=json --format-version=1", CfsHost, false, Format::Json),
            ("--format bootc --booted", CfsHost, true, Format::Bootc),
            ("", Bootc, true, Format::Human),
            ("", Bootc, false, Format::Bootc),
            ("--booted --json", Bootc, true, Format::Bootc),
            ("--format=yaml", Bootc, true, Format::Bootc),
            ("--format humanreadable -v", Bootc, false, Format::Human),
        ] {
            let words = ["status"].into_iter().chain(line.split_whitespace());
            assert_eq!(Line::parse_from(words).args.chosen(name, terminal), format, "{line}");
        }
        assert!(Line::try_parse_from(["status", "--format-version=2"]).is_err());
    }
}
