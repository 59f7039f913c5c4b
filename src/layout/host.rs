//! What a layout must ask of the machine it is read on.

use std::net::IpAddr;
use std::path::Path;

use super::spec::Identity;

/// The machine, as far as a layout has to know it. `sys::host` asks the real one; tests make one up.
pub trait Host {
    /// The host's name, as `gethostname` says it.
    fn hostname(&self) -> String;
    /// The addresses of this host's interfaces, loopback included.
    fn addresses(&self) -> Vec<IpAddr>;
    /// The numbers of the processors that are online.
    fn processors(&self) -> Vec<u32>;
    /// The hard limit of open descriptors.
    fn descriptors_max(&self) -> u64;
    /// The effective user.
    fn effective_uid(&self) -> u32;
    /// Looks up a user by name or number, with `group` (name or number) in place of its own group if given.
    ///
    /// # Errors
    /// A text that says what was not found.
    fn identity(&self, user: &str, group: Option<&str>) -> Result<Identity, String>;
    /// The number of a group that is named, or given by its number.
    ///
    /// # Errors
    /// Why there is none, in words.
    fn group(&self, name: &str) -> Result<u32, String>;
    /// Finds a program: a path with a slash is taken as it is, anything else is searched in `PATH`.
    ///
    /// # Errors
    /// A text that says what is missing or not executable.
    fn program(&self, word: &str) -> Result<(), String>;
    /// Is there something at this absolute path?
    fn exists(&self, path: &Path) -> bool;
    /// A variable of the supervisor's environment.
    fn variable(&self, name: &str) -> Option<String>;
}
