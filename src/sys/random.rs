//! Bytes that nobody can foretell.

use std::io;

use super::checked_long;

/// Fills `bytes`.
///
/// # Errors
/// The system's answer.
pub fn fill(bytes: &mut [u8]) -> io::Result<()> {
    let mut done = 0;
    while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
        // SAFETY: the kernel writes at most `rest.len()` bytes to where `rest`, which we borrow
        // mutably, begins.
        let written = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
        match checked_long(i64::try_from(written).unwrap_or(-1)) {
            Ok(written) => done += usize::try_from(written).unwrap_or(0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_fillings_are_alike() {
        let (mut one, mut other) = ([0; 16], [0; 16]);
        fill(&mut one).unwrap();
        fill(&mut other).unwrap();
        assert!(one != other && one != [0; 16]);
        fill(&mut []).unwrap();
    }
}
