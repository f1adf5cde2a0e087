//! A program that gets no more than its time: its whole process group ends with it.

use std::collections::VecDeque;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{kill_process_group, waitid, Pid, Signal, WaitId, WaitIdOptions};

use super::{Error, Result, Sys};

/// Between two looks whether it has ended.
const PAUSE: Duration = Duration::from_millis(10);
/// What is in the pipe when all of the group is gone arrives at once, unless somebody left the group with it.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How a program ended, and the end of what it printed.
#[derive(Debug)]
pub struct Ended {
    /// `None`: it was killed because its time was over.
    pub status: Option<ExitStatus>,
    /// The last bytes of standard output and standard error.
    pub output: Vec<u8>,
    /// How long it took.
    pub took: Duration,
}

impl Sys {
    /// Runs a program without input for at most `limit`, and keeps the last `most` bytes of what it prints; one step.
    /// It gets a process group of its own, and whatever is left of that is killed when it ends.
    pub fn run_limited(&self, command: &mut Command, limit: Duration, most: usize) -> Result<Ended> {
        let program = command.get_program().to_string_lossy().into_owned();
        let start = |source| Error::Start { program: program.clone(), source };
        self.step("run", Path::new(&program), || Ok(()))?;
        let begin = Instant::now();
        let (reader, writer) = std::io::pipe().map_err(start)?;
        let second = writer.try_clone().map_err(start)?;
        let child = command.stdin(Stdio::null()).stdout(writer).stderr(second).process_group(0).spawn();
        // The command holds its ends of the pipe until others take their place: the reader would wait for them.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = child.map_err(start)?;
        let (kept, done) = keep_tail(reader, most);
        let in_time = ends_before(&child, begin + limit);
        // Before the child is reaped: until then the number of its group is nobody else's.
        let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
        let status = child.wait().map_err(start)?;
        let _ = done.recv_timeout(LAST_WORDS);
        let output = kept.lock().map(|kept| kept.iter().copied().collect()).unwrap_or_default();
        Ok(Ended { status: in_time.then_some(status), output, took: begin.elapsed() })
    }
}

/// Waits without reaping; `false` if it still runs at that instant.
fn ends_before(child: &Child, end: Instant) -> bool {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    loop {
        match waitid(WaitId::Pid(Pid::from_child(child)), look) {
            Ok(None) | Err(rustix::io::Errno::INTR) if Instant::now() < end => std::thread::sleep(PAUSE),
            Ok(None) | Err(rustix::io::Errno::INTR) => return false,
            _ => return true,
        }
    }
}

/// Reads to the end in a thread of its own and keeps the last `most` bytes; the receiver hears of the end.
fn keep_tail(mut reader: impl Read + Send + 'static, most: usize) -> (Arc<Mutex<VecDeque<u8>>>, Receiver<()>) {
    let kept = Arc::new(Mutex::new(VecDeque::new()));
    let (tell, done) = mpsc::channel();
    let ours = Arc::clone(&kept);
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = reader.read(&mut buffer) {
            let Ok(mut tail) = ours.lock() else { return };
            tail.extend(buffer.get(..length).unwrap_or_default());
            let surplus = tail.len().saturating_sub(most);
            tail.drain(..surplus);
        }
        let _ = tell.send(());
    });
    (kept, done)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Ended {
        Sys::real().run_limited(Command::new("sh").args(["-c", script]), limit, 100).unwrap()
    }

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn the_end_of_both_outputs_is_kept_and_no_more() {
        let ended = shell("seq 1 100000; echo last >&2; exit 3", LONG);
        assert_eq!(ended.status.unwrap().code(), Some(3));
        assert_eq!(ended.output.len(), 100);
        assert!(ended.output.ends_with(b"100000\nlast\n"));
    }

    #[test]
    fn what_takes_too_long_ends_with_all_that_it_started() {
        let ended = shell("sleep 1000 & echo $!; sleep 1000", Duration::from_millis(300));
        assert!(ended.status.is_none() && ended.took < LONG);
        let pid: u32 = String::from_utf8(ended.output).unwrap().trim().parse().unwrap();
        // A zombie that nobody reaped yet is dead too; one that was killed needs a moment to die.
        let state = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let dead = || state().is_empty() || state().contains(") Z ");
        let give_up = Instant::now() + Duration::from_secs(10);
        while !dead() {
            assert!(Instant::now() < give_up, "{}", state());
            std::thread::sleep(PAUSE);
        }
    }

    #[test]
    fn what_it_leaves_in_the_background_does_not_hold_us_up() {
        for script in ["sleep 1000 & exit 0", "setsid sleep 20 & exit 0"] {
            let ended = shell(script, LONG);
            assert!(ended.status.unwrap().success() && ended.took < Duration::from_secs(15), "{script}");
        }
    }

    #[test]
    fn there_is_no_input() {
        assert!(shell("cat; exit 0", LONG).output.is_empty());
    }
}
