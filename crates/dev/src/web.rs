//! The console's web pages: built when their sources have changed.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Failure;
use crate::house::{House, write_file};
use crate::run::{command, must_succeed};
use crate::setup;

const FOLDER: &str = "crates/console/web";

/// Builds `crates/console/web/dist`, unless it is what these sources make already.
pub(crate) fn build(house: &House) -> Result<(), Failure> {
    let folder = house.at(FOLDER);
    if !folder.join("package.json").is_file() {
        println!("web: {FOLDER} holds no package.json; nothing to build");
        return Ok(());
    }
    let stamp = house.notes()?.join("web.stamp");
    let wanted = sources_digest(&folder)?;
    if folder.join("dist/index.html").is_file() && setup::is_stamped(&stamp, &wanted) {
        println!("web: the console is up to date");
        return Ok(());
    }
    setup::node_is_new_enough()?;
    setup::npm_packages(house, FOLDER)?;
    println!("web: npm run build in {FOLDER}");
    must_succeed(command(&folder, "npm").args(["run", "--silent", "build"]), "npm run build")?;
    // Read again: the build may have written sources of its own.
    write_file(&stamp, &sources_digest(&folder)?)
}

/// Changes when any source changes, comes or goes.
fn sources_digest(folder: &Path) -> Result<String, Failure> {
    let mut files = Vec::new();
    collect(folder, &mut files)
        .map_err(|error| Failure::io(format!("reading {}", folder.display()), error))?;
    files.sort();
    let mut contents = Vec::with_capacity(files.len());
    for file in files {
        let bytes = fs::read(&file)
            .map_err(|error| Failure::io(format!("reading {}", file.display()), error))?;
        contents.push((file, bytes));
    }
    Ok(setup::digest(&contents))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == "node_modules" || name == "dist" || name.to_string_lossy().starts_with('.') {
            continue;
        }
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}
