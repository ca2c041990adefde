//! Control groups (cgroups(7)) of a service that one was delegated to: in it one for each
//! tenant, with the tenant's limits, and in that one for each session, which is killed as a
//! whole when the session ends.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where a service's own processes are: a group with groups in it has none itself.
const OURS: &str = "service";
/// What tenants' groups are called.
const TENANT: &str = "tenant-";
/// What is limited, where it is delegated.
const CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];
/// How long a killed group may take to be empty, and how often that is looked at.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(20);

/// The control group of a service.
#[derive(Debug)]
pub struct Groups {
    directory: PathBuf,
}

impl Groups {
    /// Takes over the group that this program was started in, and ends what another service
    /// left in it.
    pub fn take_over() -> io::Result<Self> {
        let own = fs::read_to_string("/proc/self/cgroup")?;
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        let directory = directory_of(&own, &mounts).ok_or_else(|| {
            io::Error::other("it is in no group of its own below a mounted cgroup2")
        })?;
        for entry in fs::read_dir(&directory)?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(TENANT) {
                clear(&entry.path())?;
            }
        }
        let ours = directory.join(OURS);
        make(&ours)?;
        fs::write(ours.join("cgroup.procs"), "0")?;
        hand_down(&directory)?;
        Ok(Self { directory })
    }

    /// The group of a tenant.
    pub fn tenant(&self, name: &str) -> io::Result<OfTenant> {
        let directory = self.directory.join(format!("{TENANT}{name}"));
        make(&directory)?;
        Ok(OfTenant { directory })
    }
}

/// The control group of a tenant's processes.
#[derive(Debug)]
pub struct OfTenant {
    directory: PathBuf,
}

impl OfTenant {
    /// Holds all of its processes together to so much memory and so many threads, where that
    /// is delegated. The kernel kills whom it likes: a quarter above what the tenant may have,
    /// so that the service ends a session first, and says why.
    pub fn limit(&self, memory: Option<u64>, threads: u64) -> io::Result<()> {
        let memory = memory.map_or("max".to_owned(), |bytes| (bytes + bytes / 4).to_string());
        for (file, most) in [("memory.max", memory), ("pids.max", threads.to_string())] {
            let file = self.directory.join(file);
            if file.exists() {
                fs::write(file, most)?;
            }
        }
        Ok(())
    }

    /// The group of a session.
    pub fn session(&self, name: &str) -> io::Result<OfSession> {
        let directory = self.directory.join(name);
        make(&directory)?;
        let members = OpenOptions::new().write(true).open(directory.join("cgroup.procs"))?;
        Ok(OfSession { directory, members })
    }
}

/// The control group of a session's processes, which ends with it.
#[derive(Debug)]
pub struct OfSession {
    directory: PathBuf,
    members: File,
}

impl OfSession {
    /// Where a process writes `0` to become a member.
    pub fn members(&self) -> BorrowedFd<'_> {
        self.members.as_fd()
    }
}

impl Drop for OfSession {
    fn drop(&mut self) {
        let directory = std::mem::take(&mut self.directory);
        kill(&directory);
        if fs::remove_dir(&directory).is_ok() {
            return;
        }
        // What was killed takes a moment to be gone.
        let empty = async move {
            while fs::remove_dir(&directory).is_err_and(|error| is_busy(&error)) {
                tokio::time::sleep(LOOK).await;
            }
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tokio::time::timeout(PATIENCE, empty));
        }
    }
}

/// Where the group of this program is, by what /proc says of it and of the mounts
/// (proc_pid_mountinfo(5)); none for the root of all groups, which is nobody's own.
fn directory_of(own: &str, mounts: &str) -> Option<PathBuf> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    let directory = mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        after.starts_with("cgroup2 ").then_some(())?;
        let mut words = before.split(' ').skip(3);
        let (root, point) = (words.next()?, words.next()?);
        let below = Path::new(path).strip_prefix(root).ok()?;
        Some((below != Path::new("")).then(|| Path::new(point).join(below)))
    });
    directory.flatten()
}

fn make(directory: &Path) -> io::Result<()> {
    match fs::create_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// Lets the groups in this one have what is delegated.
fn hand_down(directory: &Path) -> io::Result<()> {
    let delegated = fs::read_to_string(directory.join("cgroup.controllers"))?;
    for controller in delegated.split_whitespace().filter(|it| CONTROLLERS.contains(it)) {
        fs::write(directory.join("cgroup.subtree_control"), format!("+{controller}"))?;
    }
    Ok(())
}

/// Kills all in a group and in those below it.
fn kill(directory: &Path) {
    // It may be gone already.
    let _ = fs::write(directory.join("cgroup.kill"), "1");
}

/// Kills all in a group and removes it with those below.
fn clear(directory: &Path) -> io::Result<()> {
    kill(directory);
    let below = fs::read_dir(directory)?.flatten().map(|entry| entry.path());
    for group in below.filter(|path| path.is_dir()) {
        clear(&group)?;
    }
    let mut looks = PATIENCE.as_millis() / LOOK.as_millis();
    loop {
        match fs::remove_dir(directory) {
            Err(error) if is_busy(&error) && looks > 0 => std::thread::sleep(LOOK),
            removed => return removed,
        }
        looks -= 1;
    }
}

fn is_busy(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ResourceBusy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_of_one_s_own_is_found_below_the_mount() {
        let own = "4:memory:/x\n0::/system.slice/plakbox.service\n";
        let mounts = "30 2 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";
        let found = directory_of(own, mounts).unwrap();
        assert_eq!(found, Path::new("/sys/fs/cgroup/system.slice/plakbox.service"));
        let inner = mounts.replace(" / /sys", " /system.slice /sys");
        let found = directory_of(own, &inner).unwrap();
        assert_eq!(found, Path::new("/sys/fs/cgroup/plakbox.service"));
        assert_eq!(directory_of("0::/\n", mounts), None);
        assert_eq!(directory_of(own, "30 2 0:26 / / rw - ext4 /dev/vda rw\n"), None);
    }
}
