//! The environment of a newborn.
//!
//! The environment is one array for all threads and the C library reads it without a lock, so it is
//! changed only by a process that has one thread.

use std::ffi::CString;
use std::io;

use crate::sys::{checked, procfs};

/// Sets variables, replacing those there are.
///
/// # Errors
/// This process has more than one thread, or a name is empty or holds `=` or a zero byte. Variables
/// before the bad one are set.
pub fn set_environment(variables: &[(String, String)]) -> io::Result<()> {
    demand_one_thread()?;
    for (name, value) in variables {
        let name = CString::new(name.as_bytes())?;
        let value = CString::new(value.as_bytes())?;
        // SAFETY: both strings are zero-terminated and copied by the call; nobody reads the
        // environment meanwhile, for we are the only thread.
        checked(unsafe { libc::setenv(name.as_ptr(), value.as_ptr(), 1) })?;
    }
    Ok(())
}

fn demand_one_thread() -> io::Result<()> {
    match procfs::threads()? {
        1 => Ok(()),
        threads => Err(io::Error::other(format!(
            "this process has {threads} threads; only a process with one may change its environment"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::alone::alone;

    #[test]
    fn a_process_with_many_threads_may_not_change_its_environment() {
        let error = set_environment(&[("SYS_TEST".into(), "x".into())]).unwrap_err();
        assert!(error.to_string().contains("threads"));
        assert!(std::env::var("SYS_TEST").is_err());
    }

    #[test]
    fn a_newborn_sets_variables_and_a_bad_name_is_refused() {
        alone(|| {
            set_environment(&[
                ("SYS_A".into(), "1".into()),
                ("SYS_B".into(), String::new()),
            ])
            .unwrap();
            assert_eq!(std::env::var("SYS_A").unwrap(), "1");
            assert_eq!(std::env::var("SYS_B").unwrap(), "");
            for bad in ["", "A=B", "A\0B"] {
                assert!(
                    set_environment(&[(bad.into(), "x".into())]).is_err(),
                    "{bad:?}"
                );
            }
        });
    }
}
