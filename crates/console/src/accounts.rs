//! Who may log in, and how passwords are kept: argon2id in a PHC string.

use std::collections::BTreeMap;
use std::fmt;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use hansho_model::Role;

/// An account.
#[derive(Clone)]
pub struct Account {
    /// PHC string, `$argon2id$v=19$m=...`.
    pub password_hash: String,
    /// Role.
    pub role: Role,
    /// Name of the person, as shown to colleagues.
    pub name: String,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("role", &self.role).finish_non_exhaustive()
    }
}

/// A bearer token for programs. Only its hash is kept.
#[derive(Clone)]
pub struct ApiToken {
    digest: [u8; 32],
    /// Log-in name that its commands carry; need not have an account.
    pub user: String,
    /// Role.
    pub role: Role,
}

impl ApiToken {
    /// From the token in the clear, as it stands in the config; it should have 128 random bits.
    #[must_use]
    pub fn new(token: &str, user: String, role: Role) -> Self {
        Self { digest: *blake3::hash(token.as_bytes()).as_bytes(), user, role }
    }

    /// From the token's BLAKE3 hash, as the register of people keeps it.
    #[must_use]
    pub const fn from_digest(digest: [u8; 32], user: String, role: Role) -> Self {
        Self { digest, user, role }
    }

    /// Whether `token` is this one. The comparison takes the same time whatever differs.
    #[must_use]
    pub fn is(&self, token: &str) -> bool {
        blake3::hash(token.as_bytes()) == blake3::Hash::from_bytes(self.digest)
    }
}

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiToken").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Accounts by log-in name.
#[derive(Clone, Debug)]
pub struct Accounts {
    by_user: BTreeMap<String, Account>,
    decoy: String,
}

/// Why a password cannot be hashed, or a hash is none.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// The hash in the config cannot be read.
    #[error("the password hash of `{user}` is no argon2id PHC string; make one anew")]
    BadHash {
        /// Whose.
        user: String,
    },
    /// The password is empty or too long.
    #[error("a password has 1 to {limit} bytes; this one has {length}")]
    BadLength {
        /// Bytes it has.
        length: usize,
        /// Bytes it may have.
        limit: usize,
    },
    /// The parameters were refused by the algorithm.
    #[error("argon2id refused its parameters")]
    Parameters,
}

impl Accounts {
    /// Checks every hash, so that a broken one shows at the start and not at a log-in at night.
    ///
    /// # Errors
    /// [`PasswordError::BadHash`] with the log-in name.
    pub fn new(by_user: BTreeMap<String, Account>) -> Result<Self, PasswordError> {
        for (user, account) in &by_user {
            let good = PasswordHash::new(&account.password_hash)
                .is_ok_and(|hash| hash.algorithm.as_str() == "argon2id" && hash.hash.is_some());
            if !good {
                return Err(PasswordError::BadHash { user: user.clone() });
            }
        }
        // Checked for unknown names, with the work of a real hash, so that time tells nothing.
        let decoy = match by_user.values().next() {
            Some(account) => account.password_hash.clone(),
            None => hash_password("nobody", &[0; 16])?,
        };
        Ok(Self { by_user, decoy })
    }

    /// By log-in name.
    #[must_use]
    pub fn account(&self, user: &str) -> Option<&Account> {
        self.by_user.get(user)
    }

    /// Whether this is the password of `user`. Works as long for unknown names. Slow on purpose:
    /// not for an async thread.
    #[must_use]
    pub fn verify(&self, user: &str, password: &str) -> bool {
        let account = self.by_user.get(user);
        let text = account.map_or(&self.decoy, |account| &account.password_hash);
        let Ok(hash) = PasswordHash::new(text) else { return false };
        let right = Argon2::default().verify_password(password.as_bytes(), &hash).is_ok();
        right && account.is_some()
    }
}

/// Hashes a password with argon2id (19 MiB, 2 passes, 1 lane: OWASP's first choice); `salt` is 16
/// random bytes.
///
/// # Errors
/// [`PasswordError::BadLength`] for an empty or over-long password.
pub fn hash_password(password: &str, salt: &[u8; 16]) -> Result<String, PasswordError> {
    let limit = crate::limits::PASSWORD_BYTES_MAX;
    if password.is_empty() || password.len() > limit {
        return Err(PasswordError::BadLength { length: password.len(), limit });
    }
    let params =
        Params::new(19 * 1_024, 2, 1, None).map_err(|_unreachable| PasswordError::Parameters)?;
    let hash: PasswordHash = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_with_salt(password.as_bytes(), salt)
        .map_err(|_unreachable| PasswordError::Parameters)?;
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Accounts {
        let password_hash = hash_password("correct horse", &[7; 16]).unwrap();
        let account = Account { password_hash, role: Role::Dispatcher, name: "佐藤".to_owned() };
        Accounts::new(BTreeMap::from([("sato".to_owned(), account)])).unwrap()
    }

    #[test]
    fn only_the_right_password_of_a_known_name_opens() {
        let accounts = accounts();
        assert!(accounts.verify("sato", "correct horse"));
        assert!(!accounts.verify("sato", "wrong horse"));
        assert!(!accounts.verify("nobody", "correct horse"), "the decoy opens for no one");
        let nobody = Accounts::new(BTreeMap::new()).unwrap();
        assert!(!nobody.verify("nobody", "nobody"));
    }

    #[test]
    fn a_broken_hash_shows_at_the_start() {
        for bad in ["", "plain", "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ", "$argon2i$x"] {
            let account =
                Account { password_hash: bad.to_owned(), role: Role::Viewer, name: String::new() };
            let error = Accounts::new(BTreeMap::from([("sato".to_owned(), account)])).unwrap_err();
            assert!(error.to_string().contains("`sato`"), "{error}");
        }
    }

    #[test]
    fn passwords_have_a_length() {
        assert!(hash_password(&"x".repeat(256), &[0; 16]).is_ok());
        for bad in [String::new(), "x".repeat(257)] {
            let error = hash_password(&bad, &[0; 16]).unwrap_err();
            assert!(matches!(error, PasswordError::BadLength { limit: 256, .. }), "{error}");
        }
    }

    #[test]
    fn tokens_are_compared_whole_and_never_printed() {
        let token = ApiToken::new("abc", "desk".to_owned(), Role::Dispatcher);
        assert!(token.is("abc"));
        assert!(!token.is("abcd"));
        assert_eq!(format!("{token:?}"), r#"ApiToken { user: "desk", .. }"#);
    }
}
