//! Where things stand in this project.

use std::path::{Path, PathBuf};

use crate::Failure;

/// The project's folders.
#[derive(Debug)]
pub(crate) struct House {
    root: PathBuf,
}

impl House {
    /// Cargo says at run time where this crate is; a program that was started by hand knows it from
    /// its own build.
    pub(crate) fn find() -> Result<Self, Failure> {
        let own = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = own.join("../..");
        let root = root
            .canonicalize()
            .map_err(|error| Failure::io(format!("looking for {}", root.display()), error))?;
        Ok(Self { root })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A path below the root.
    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Our own notes and logs. Below the root, whatever `CARGO_TARGET_DIR` says.
    pub(crate) fn notes(&self) -> Result<PathBuf, Failure> {
        let notes = self.at("target/dev");
        make_folder(&notes)?;
        Ok(notes)
    }

    /// A program that Cargo built beside this one.
    pub(crate) fn binary(&self, name: &str) -> Result<PathBuf, Failure> {
        let own = std::env::current_exe()
            .map_err(|error| Failure::io("looking for the built programs", error))?;
        Ok(own.with_file_name(name))
    }
}

/// Makes a folder and those above it.
pub(crate) fn make_folder(path: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(path)
        .map_err(|error| Failure::io(format!("making {}", path.display()), error))
}

/// Writes a file whole.
pub(crate) fn write_file(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text)
        .map_err(|error| Failure::io(format!("writing {}", path.display()), error))
}
