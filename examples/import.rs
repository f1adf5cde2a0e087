//! An image into a store, and its plain EROFS image: what `cfsctl oci pull` does. Prints the image's digest.
//!
//!     cargo run --release --example import -- STORE REFERENCE

use std::path::Path;

use anyhow::Context;
use cfs_host::fetch::{self, Options};
use cfs_host::flow::import::{import, Keep};
use cfs_host::store::Store;
use cfs_host::sys::Sys;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (store, reference) =
        arguments.next().zip(arguments.next()).context("usage: import STORE REFERENCE, such as oci:DIR:TAG")?;
    let sys = Sys::real();
    let store = Store::open_or_create(Path::new(&store), &sys)?;
    let source = fetch::open(&reference.parse()?, &Options::default())?;
    let imported = import(source.as_ref(), &store, &sys, Keep::Tagged, &|_| ())?;
    let digest = store.put_image(&sys, &imported.tree.plain_image()?.bytes)?;
    println!("{digest}");
    Ok(())
}
