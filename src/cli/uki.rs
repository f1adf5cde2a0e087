//! `cfs-host uki`: a UKI file, built or taken apart.

use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;

use super::ingredients::IngredientArgs;
use super::print_json;
use super::transport::Transport;
use crate::boot::authenticode;
use crate::boot::uki::{embedded_policy, Uki};
use crate::fetch::{self, Options};
use crate::flow::report::PolicySummary;
use crate::flow::uki;
use crate::model::reference::Reference;
use crate::sys::Sys;
use crate::trust::certificate::Certificate;

/// Build UKI files, look at them
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Build and sign the UKI that `seal` would put into an image, as a file
    Build(Box<Build>),
    /// Show a UKI's identity and policy; fails unless its parts belong together
    Inspect(Inspect),
}

#[derive(Debug, clap::Args)]
struct Build {
    /// The image: [docker://]HOST/NAME[:TAG], oci:DIR[:TAG], oci-archive:FILE[:TAG] or containers-storage:NAME
    source: Reference,
    /// The UKI's file; one that exists is replaced
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    uki: IngredientArgs,
    #[command(flatten)]
    transport: Transport,
    /// Print what was made as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Inspect {
    /// The UKI
    file: PathBuf,
    /// Also fail unless the key of this certificate signed it; may be repeated
    #[arg(long, value_name = "FILE")]
    db: Vec<PathBuf>,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Contents {
    file: PathBuf,
    kernel: String,
    /// Absent if no certificate was given to compare with.
    signed_by: Option<String>,
    policy: PolicySummary,
}

/// Builds a UKI, or shows what is inside one.
pub fn run(args: Args) -> anyhow::Result<()> {
    match args.verb {
        Verb::Build(args) => build(*args),
        Verb::Inspect(args) => inspect(args),
    }
}

fn build(args: Build) -> anyhow::Result<()> {
    let sys = Sys::from_env()?;
    let opened = args.uki.open(&sys)?;
    let source = fetch::open(&args.source, &Options::from(args.transport))?;
    let built = uki::build(source.as_ref(), &opened.ingredients(), &args.output, &sys)?;
    if args.json {
        return print_json("BuiltUki", &built);
    }
    println!("{} is built and signed", args.output.display());
    println!("  uki-id    {}", built.uki_id);
    println!("  kernel    {} with {} modules in the initrd", built.kernel, built.modules.len());
    println!("  cmdline   {}", built.cmdline);
    Ok(())
}

fn inspect(args: Inspect) -> anyhow::Result<()> {
    let bytes = crate::trust::read(&args.file)?;
    let db: Vec<Certificate> = args.db.iter().map(|path| Certificate::load(path)).collect::<Result<_, _>>()?;
    let signed_by = match db.is_empty() {
        true => None,
        false => {
            let ders: Vec<Vec<u8>> = db.iter().map(|certificate| certificate.der().to_vec()).collect();
            Some(db[authenticode::signer(&bytes, &ders)?].name().to_owned())
        }
    };
    let kernel = String::from_utf8_lossy(Uki::parse(&bytes)?.uname).into_owned();
    let policy = PolicySummary::of(&embedded_policy(&bytes)?);
    let contents = Contents { file: args.file, kernel, signed_by, policy };
    match args.json {
        true => print_json("Uki", &contents)?,
        false => print(&contents),
    }
    Ok(())
}

fn print(contents: &Contents) {
    let policy = &contents.policy;
    println!("{}", contents.file.display());
    println!("  uki-id    {}", policy.uki_id);
    println!("  kernel    {}", crate::ui::plain(&contents.kernel));
    println!("  cmdline   {}", policy.cmdline);
    println!(
        "  policy    {:?}, product {:?}, security version {}",
        policy.mode, policy.product, policy.security_version
    );
    println!("  signers   {} of {}", policy.threshold, policy.signers.join(", "));
    println!("  files     {}", policy.files.join(" "));
    println!("  signed by {}", contents.signed_by.as_deref().unwrap_or("(give --db to check)"));
}
