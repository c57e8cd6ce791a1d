//! Who may read what nobody else should.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use hansho_model::Mode;

use crate::Config;

/// Files of a configuration with people or keys in them.
const PRIVATE: [&str; 2] = ["people.toml", "devices.toml"];

impl Config {
    /// Files with people, keys or passwords that everybody on this machine may read. A house starts
    /// all the same: a city is not kept waiting for a `chmod`. What a demo holds is invented.
    #[must_use]
    pub fn open_to_all(&self, dir: &Path) -> Vec<PathBuf> {
        if self.site.mode == Mode::Demo {
            return Vec::new();
        }
        let registers = PRIVATE.iter().map(|name| dir.join(name));
        let brokers = self.site.foreign_brokers.iter().filter_map(|broker| broker.login.as_ref());
        let mail = self.site.mail.iter().filter_map(|mail| mail.login.as_ref());
        let passwords = brokers.chain(mail).map(|(_user, path)| path.clone());
        let keys = self.site.tls.iter().map(|tls| tls.key.clone());
        let open = |path: &PathBuf| {
            std::fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o007 != 0)
        };
        registers.chain(passwords).chain(keys).filter(open).collect()
    }
}
