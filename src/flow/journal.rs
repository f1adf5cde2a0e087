//! The journal: what became of a trial, under one message id, so that whoever watches for it finds it.
//!
//! Fields as in `systemd.journal-fields(7)`; the id is the one that bootc gives to a change of what boots.

use std::os::unix::net::UnixDatagram;
use std::path::Path;

/// A change of what boots.
const MESSAGE_ID: &str = "26f3b1eb24464d12aa5e7b544a6b5468";
/// systemd's own socket.
const SOCKET: &str = "run/systemd/journal/socket";

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// Needs nobody.
    Notice = 5,
    /// Somebody should look.
    Warning = 4,
}

/// Tells the journal of this root directory; `false`: there is none, or it does not listen.
pub fn tell(root: &Path, priority: Priority, text: &str) -> bool {
    let socket = UnixDatagram::unbound().and_then(|socket| {
        // A journal that is stuck must not hold up a boot.
        socket.set_nonblocking(true)?;
        socket.send_to(&message(priority, text), root.join(SOCKET))
    });
    socket.is_ok()
}

fn message(priority: Priority, text: &str) -> Vec<u8> {
    // A line each: the text must not begin another field.
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("MESSAGE={line}\nPRIORITY={}\nMESSAGE_ID={MESSAGE_ID}\nSYSLOG_IDENTIFIER=cfs-host\n", priority as u8)
        .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_gets_one_line_with_the_message_id() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!tell(dir.path(), Priority::Notice, "nobody listens"));
        std::fs::create_dir_all(dir.path().join("run/systemd/journal")).unwrap();
        let journal = UnixDatagram::bind(dir.path().join(SOCKET)).unwrap();
        assert!(tell(dir.path(), Priority::Warning, "failed\nPRIORITY=0"));
        let mut buffer = [0; 1000];
        let length = journal.recv(&mut buffer).unwrap();
        let text = std::str::from_utf8(&buffer[..length]).unwrap();
        assert!(
            text.starts_with("MESSAGE=failed PRIORITY=0\nPRIORITY=4\nMESSAGE_ID=26f3b1eb24464d12aa5e7b544a6b5468\n")
        );
    }
}
